"""TensorFlow Serving's model config as text: a rendering of one journal entry."""

import re
from collections.abc import Sequence

from pipeline.deployment import RolloutName
from pipeline.journal.config_header import HEADER
from pipeline.journal.state import State, resident
from serving.replica import STABLE

_LATEST = "roll-out latest"

# `versions: 3`, `versions: [3, 4]`, and the `value: 3` of a label; not `num_versions`.
_NAMED = re.compile(r"\b(?:versions|value)\s*:\s*([0-9]+|\[[0-9,\s]*\])")


def render(*, model: str, base_path: str, state: State, seq: int, first_ring: bool = False) -> str:
    """Render the config of the pinned roll-out: the resident versions by number, the label on the serving one.

    Before anything is resident it is an empty list, never `specific {}` without versions: servers would unload
    everything and log nothing. The first line is a comment that names the journal entry.

    Args:
        model: the name of the model.
        base_path: where servers find its versions.
        state: the state after the entry.
        seq: the number of the entry; 0 before the first one.
        first_ring: the config of the first ring, which has a candidate before the other replicas.
    """
    versions = resident(state, first_ring=first_ring)
    header = _header(seq, "pinned")
    if not versions:
        return header + "model_config_list {}\n"
    policy = ["    model_version_policy { specific { " + " ".join(f"versions: {v}" for v in versions) + " } }"]
    if state.serving is not None:
        policy.append(f'    version_labels {{ key: "{STABLE}" value: {state.serving} }}')
    return header + _model_config(model, base_path, policy)


def render_latest(*, model: str, base_path: str, seq: int) -> str:
    """Render the config of the latest roll-out. Only its first line changes: what lies below the base path decides.

    The first line names the journal entry that the base path was last settled with. A server may be started with this
    config or with `--model_base_path`, which means the same.
    """
    policy = ["    model_version_policy { latest { num_versions: 1 } }"]
    return _header(seq, "latest") + _model_config(model, base_path, policy)


def named_versions(text: str) -> frozenset[int]:
    """The versions that a config names in a policy or behind a label, also in a config that was written by hand."""
    return frozenset(int(number) for named in _NAMED.findall(text) for number in re.findall("[0-9]+", named))


def rollout_of(text: str) -> RolloutName | None:
    """The roll-out that a config was written for; None for a config that this version of Understudy did not write."""
    found = HEADER.match(text)
    if found is None or unknown_format(text) is not None:
        return None
    return "latest" if found.group(2) else "pinned"


def unknown_format(text: str) -> str | None:
    """What the first line of a config says that this version does not know, because a newer version wrote it.

    None for every other config. A newer version that renders anything else than `render` and `render_latest` says so
    there, after the number of the journal entry and a comma.
    """
    found = HEADER.match(text)
    return found.group(2) if found and found.group(2) not in (None, _LATEST) else None


def _header(seq: int, rollout: RolloutName) -> str:
    return f"# journal entry {seq}{f', {_LATEST}' if rollout == 'latest' else ''}\n"


def _model_config(model: str, base_path: str, policy: Sequence[str]) -> str:
    lines = [
        "model_config_list {",
        "  config {",
        f'    name: "{model}"',
        f'    base_path: "{_escaped(base_path)}"',
        '    model_platform: "tensorflow"',
        *policy,
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
