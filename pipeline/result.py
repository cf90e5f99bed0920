"""How a verb ended, for the program that has started it: one JSON object in the file that it has asked for.

`UNDERSTUDY_RESULT_FILE` names that file. The exit code says the same in short; an error before a verb has begun leaves
a result, too.
"""

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "UNDERSTUDY_RESULT_FILE"


def write(result: dict[str, Any], *, unless_there: bool = False) -> None:
    """Write it where it is asked for; nothing where it is not. A result that cannot be written changes no outcome."""
    path = os.environ.get(VARIABLE)
    if not path or (unless_there and Path(path).exists()):
        return
    try:
        Path(path).write_text(json.dumps(result, default=str), encoding="utf-8")
    except OSError:
        return  # the log and the exit code say it all the same


def read(path: Path) -> dict[str, Any]:
    """What a verb has left there; empty where it has left nothing that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
