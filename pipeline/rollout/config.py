"""TensorFlow Serving's model config as text: a rendering of one journal entry."""

import re
from collections.abc import Sequence

from pipeline.journal.state import State, resident
from pipeline.settings import RolloutName
from serving.replica import STABLE

_HEADER = re.compile(r"# journal entry ([0-9]+)(, roll-out latest)?")

# `versions: 3`, `versions: [3, 4]`, and the `value: 3` of a label; not `num_versions`.
_NAMED = re.compile(r"\b(?:versions|value)\s*:\s*([0-9]+|\[[0-9,\s]*\])")


def render(*, model: str, base_path: str, state: State, seq: int) -> str:
    """The config of the pinned roll-out: the resident versions by number, the label on the one that serves.

    Before anything is resident it is the empty list, never `specific {}` without versions: that would unload
    everything and say nothing. The first line names the journal entry it renders; servers skip it as a comment.
    """
    versions = resident(state)
    header = _header(seq, "pinned")
    if not versions:
        return header + "model_config_list {}\n"
    policy = ["    model_version_policy { specific { " + " ".join(f"versions: {v}" for v in versions) + " } }"]
    if state.serving is not None:
        policy.append(f'    version_labels {{ key: "{STABLE}" value: {state.serving} }}')
    return header + _model_config(model, base_path, policy)


def render_latest(*, model: str, base_path: str, seq: int) -> str:
    """The config of the latest roll-out, which says the same for ever: whatever lies below the base path decides.

    It keeps which journal entry the base path was last made to agree with. A server may be started with it, or with
    `--model_base_path`, which means the same.
    """
    policy = ["    model_version_policy { latest { num_versions: 1 } }"]
    return _header(seq, "latest") + _model_config(model, base_path, policy)


def rendered_entry(text: str) -> int | None:
    """The journal entry a config renders; None for a config written by something else."""
    found = _HEADER.match(text)
    return int(found.group(1)) if found else None


def named_versions(text: str) -> frozenset[int]:
    """The versions that a config names in a policy or behind a label, also one that a hand has written."""
    return frozenset(int(number) for named in _NAMED.findall(text) for number in re.findall("[0-9]+", named))


def rollout_of(text: str) -> RolloutName | None:
    """The roll-out that a config of ours was written for; None for a config written by something else."""
    found = _HEADER.match(text)
    return ("latest" if found.group(2) else "pinned") if found else None


def _header(seq: int, rollout: RolloutName) -> str:
    return f"# journal entry {seq}{', roll-out latest' if rollout == 'latest' else ''}\n"


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
