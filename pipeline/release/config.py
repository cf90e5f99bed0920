"""TensorFlow Serving's model config as text: a rendering of one journal entry (pinned roll-out)."""

import re

from pipeline.release.state import State, resident
from serving.replica import STABLE

_SEQUENCE = re.compile(r"# journal entry ([0-9]+)")


def render(*, model: str, base_path: str, state: State, seq: int) -> str:
    """The config file of a state: the resident versions by number, the label on the one that serves.

    Before anything is resident it is the empty list, never `specific {}` without versions: that would unload
    everything and say nothing. The first line names the journal entry it renders; servers skip it as a comment.
    """
    header = f"# journal entry {seq}\n"
    versions = resident(state)
    if not versions:
        return header + "model_config_list {}\n"
    lines = [
        "model_config_list {",
        "  config {",
        f'    name: "{model}"',
        f'    base_path: "{_escaped(base_path)}"',
        '    model_platform: "tensorflow"',
        "    model_version_policy { specific { " + " ".join(f"versions: {v}" for v in versions) + " } }",
    ]
    if state.serving is not None:
        lines.append(f'    version_labels {{ key: "{STABLE}" value: {state.serving} }}')
    return header + "\n".join([*lines, "  }", "}"]) + "\n"


def rendered_entry(text: str) -> int | None:
    """The journal entry a config renders; None for a config written by something else."""
    found = _SEQUENCE.match(text)
    return int(found.group(1)) if found else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
