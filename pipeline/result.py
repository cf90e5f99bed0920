"""How a verb ended, for the program that has started it: one JSON object in the file that it has asked for.

`UNDERSTUDY_RESULT_FILE` names that file. In a pod it is the termination message of the container, which is a part of
the pod's status. The exit code says the same in short; an error before a verb has begun leaves a result, too.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "UNDERSTUDY_RESULT_FILE"
# In bytes. Kubernetes cuts a longer termination message, and what is left of a JSON object cannot be read.
LARGEST = 4096


def write(result: dict[str, Any], *, unless_there: bool = False) -> None:
    """Write it where it is asked for; nothing where it is not. A result that cannot be written changes no outcome.

    Args:
        result: what to write. More than `LARGEST` bytes are made fit: the longest value is cut, or left out if it is
            neither a text nor a list, until they are.
        unless_there: keep what an earlier call has written.
    """
    path = os.environ.get(VARIABLE)
    # An empty file is no result: Kubernetes makes one when it starts the container.
    if not path or (unless_there and read(Path(path))):
        return
    try:
        Path(path).write_text(_fitting(result), encoding="utf-8")
    except OSError:
        return  # the log and the exit code say it all the same


def read(path: Path) -> dict[str, Any]:
    """What a verb has left there; empty where it has left nothing that can be read."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def parse(text: str) -> dict[str, Any]:
    """The result in a text; empty where the text is none, such as the log of a container that has left no result."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "outcome" in found else {}


def _fitting(result: Mapping[str, Any]) -> str:
    kept = dict(result)
    while len(text := _json(kept)) > LARGEST:
        longest = max(kept, key=lambda name: len(_json(kept[name])))
        shorter = _shorter(kept.pop(longest))
        if shorter:
            kept[longest] = shorter
    return text


def _shorter(value: Any) -> Any:
    """The first three quarters of a text or a list; nothing where that is nothing, or not possible."""
    if isinstance(value, str):
        return value[: len(value) * 3 // 4 - 1] + "…" if len(value) > 2 else ""
    return value[: len(value) * 3 // 4] if isinstance(value, list | tuple) else None


def _json(value: Any) -> str:
    """In ASCII, so that a character is a byte."""
    return json.dumps(value, default=str)
