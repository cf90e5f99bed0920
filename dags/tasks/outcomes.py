"""One sentence of how a task has ended, for the note of its DAG run."""

from collections.abc import Mapping
from typing import Any

# Of the XCom that the plugin `dags/plugins/run_notes.py` reads.
KEY = "understudy_outcome"
# More than a note can hold.
_LONGEST = 1000
# In the result of a verb that is done, what says most about it.
_SAYS_MOST = ("verdict", "reason", "state")


def outcome(task_id: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb has decided, for people; less where there is less to say.

    `line` says what and why, `short` what in two or three words, `serves` what served then; `done` is false where the
    verb declined, failed or could not tell.

    Args:
        task_id: the task's name.
        found: the result that its verb has left, see `pipeline.result`; empty where there is none.
    """
    if not found:
        return {}
    said: dict[str, Any] = {}
    if "serving" in found and "model" in found:
        serving = found["serving"]
        said["serves"] = f"v{serving} serves {found['model']}" if serving else f"nothing serves {found['model']}"
    ended, version, left = str(found.get("outcome", "")), found.get("version"), found.get("left")
    why = next((str(found[name]) for name in _SAYS_MOST if found.get(name)), "")
    if found.get("forced_by"):
        why += f"; overruled by {found['forced_by']}"
    done = ended == "done"
    if done and not (why or version):
        return said  # such as `train`: what it has found, the gate says
    line = f"`{task_id}` {ended}"
    if done and version:
        line += f", v{version}" + (f" instead of v{left}" if left else "")
    # One line, whatever a person has typed for a reason.
    line = " ".join((f"{line}: {why}" if why else line).split())[:_LONGEST]
    return said | {"line": line, "short": f"{task_id} {ended}", "done": done}
