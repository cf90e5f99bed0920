"""Read what is stored as JSON in the bucket: data of this version and of older ones.

Data of a newer version is distinguished from damaged data. Stored data is only ever extended: a newer version may add
fields, events and other named values, and everything that this version knows is there too. So where unknown fields and
values are all that is wrong, a newer version wrote it; where anything else is wrong, it is damaged. Either way
nothing may be decided on it.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import DamagedError, NewerVersionError, StorageError
from pipeline.first_few import first_few
from pipeline.validation import problems
from pipeline.version import project_version

T = TypeVar("T", bound=BaseModel)

# The type of error with which a validator of ours says that it does not know a value, for pydantic_core's
# PydanticCustomError; for values that pydantic sees as plain text.
UNKNOWN_VALUE = "unknown_value"

# Of models, and of dataclasses within them.
_UNKNOWN_FIELDS = ("extra_forbidden", "unexpected_keyword_argument")
_UNKNOWN_VALUES = ("enum", "literal_error", UNKNOWN_VALUE)
# All named values of ours look like this. A damaged value rarely does.
_NAME = re.compile(r"[a-z][a-z0-9 _+.:/-]{0,99}")
_SHOWN = 3


def stored(kind: type[T], content: bytes, *, key: str, what: str, damaged: type[StorageError] = DamagedError) -> T:
    """A value from its JSON in the bucket. `kind` forbids unknown fields, also in everything it contains.

    Args:
        kind: what it should be.
        content: the JSON.
        key: where it lies, for the message.
        what: what it should be, for the message, for example `a journal entry`.
        damaged: the error to raise for damaged content.

    Raises:
        NewerVersionError: a newer version of Understudy wrote it.
        DamagedError: it is not what it should be; `damaged` instead, if that is given.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        unknown = _unknown_parts(error.errors())
        if unknown:
            raise newer_version(key, first_few(unknown, _SHOWN)) from error
        raise damaged(f"{key} is not {what}: {problems(error)}. Restore it as it was written") from error


def newer_version(key: str, found: str) -> NewerVersionError:
    """The error for an object of a newer version; `found` is a clause, for example `it has the field 'ring'`."""
    return NewerVersionError(
        f"{key} was written by a newer version of Understudy: {found}, which this version ({project_version()}) does "
        f"not know. Nothing was decided on it. Use the newer version, for example that of the DAGs"
    )


def _unknown_parts(errors: Sequence[ErrorDetails]) -> list[str]:
    """The unknown fields and values, as clauses; none if anything else is wrong."""
    parts = []
    alternatives = {error["loc"][:-1] for error in errors if _is_alternative(error)}
    for error in errors:
        where = error["loc"][:-1] if error["loc"][:-1] in alternatives else error["loc"]
        if error["type"] in _UNKNOWN_FIELDS:
            parts.append(f"it has the field {_path(where)!r}")
        elif where in alternatives or error["type"] in _UNKNOWN_VALUES:
            if not _is_name(error["input"]):
                return []
            parts.append(f"its {_path(where)!r} is {error['input']!r}")
        else:
            return []
    return list(dict.fromkeys(parts))


def _is_alternative(error: ErrorDetails) -> bool:
    """Whether a named value is one of several types that a field may have: each type reports an error of its own."""
    return error["type"] == "literal_error" and str(error["loc"][-1]).startswith("literal[")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _path(location: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in location)
