"""What a stack on this machine was last started with: `stack.json` in its folder, written by `make up`.

The commands of the stack and the verbs that a person types read it for all that the environment does not say. So they
find the bucket, whatever the working directory is.
"""

import json
import logging
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from pipeline.validation import problems

logger = logging.getLogger("pipeline")

PROJECT = Path(__file__).resolve().parents[1]
NAME = "stack.json"

AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def stack_folder(rollout: str) -> Path:
    """Where a stack lies unless `UNDERSTUDY_VAR` says otherwise; each roll-out has a folder of its own."""
    var = PROJECT / "var"
    return var / "latest" if rollout == "latest" else var


def cache_folder(folder: Path) -> Path:
    """Where the trainings of a stack keep decoded images, unless `UNDERSTUDY_CACHE` says otherwise."""
    return folder / "cache"


def last_started() -> Path:
    """The folder of the stack that `make up` has started last; that of the pinned roll-out where none ever was."""
    folders = [stack_folder("pinned"), stack_folder("latest")]
    started = [folder for folder in folders if (folder / NAME).exists()]
    return max(started, key=lambda folder: (folder / NAME).stat().st_mtime, default=folders[0])


def read(folder: Path) -> dict[str, Any]:
    """The settings in the file, by the names of fields; none where there is no file. Never raises.

    A file that cannot be read is reported in the log, and counts as none.
    """
    try:
        return _parse(folder / NAME)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _report(folder / NAME, str(error))
        return {}


def complete(named: AnySettings, remembered: dict[str, Any], *, folder: Path) -> AnySettings:
    """The settings `named` by the environment, with `remembered` values for all that it does not name.

    Where a remembered value cannot be used, that is reported in the log, and `named` is returned as it is.
    """
    said = named.model_dump(include=named.model_fields_set, round_trip=True)
    known = {name: value for name, value in remembered.items() if name in type(named).model_fields}
    try:
        return type(named)(**(known | said))
    except ValidationError as error:
        _report(folder / NAME, problems(error))
        return named


def write(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Write the file in one step, and return what was in it before; a damaged one is kept as `stack.json.damaged`.

    Raises:
        OSError: it could not be written; the file that was there is unchanged.
    """
    path = folder / NAME
    prepared = path.with_suffix(".json.new")
    prepared.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    before: dict[str, Any] = {}
    try:
        before = _parse(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        path.replace(path.with_suffix(".json.damaged"))
    prepared.replace(path)
    return before


def _parse(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return content


def _report(path: Path, reason: str) -> None:
    logger.warning(
        "%s cannot be used: %s. Defaults are used for settings that are not in the environment. "
        "Set the variables that differ, for example UNDERSTUDY_SERVING_PORTS, and run `make up`: it writes the file "
        "again.",
        path,
        reason,
    )
