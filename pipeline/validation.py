"""What is wrong with what a person wrote, in words for that person."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import BadInputError


def problems(error: ValidationError, *, prefix: str = "", values: bool = True) -> str:
    """Every field that pydantic found wrong, with why and the value given.

    Args:
        error: pydantic's.
        prefix: makes a field a variable's name.
        values: whether the values given may be read by everybody.
    """
    return "; ".join(problem_of(each, prefix=prefix, values=values) for each in error.errors())


def problem_of(error: ErrorDetails, *, prefix: str = "", values: bool = True) -> str:
    """The same of one of them. A rule about several fields names them itself."""
    if error["type"] == "value_error" and not error["loc"]:
        return error["msg"].removeprefix("Value error, ")
    problem = f"{_name(error['loc'], prefix)}: {error['msg'].removeprefix('Value error, ')}"
    # What is missing has no value; pydantic gives what it is missing from.
    return problem if error["type"] == "missing" or not values else f"{problem} (got {error['input']!r:.80})"


def _name(location: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(str(part) for part in location if not is_tag(part)) or "the whole"
    return f"{prefix}{name.upper()}" if prefix else name


def is_tag(part: int | str) -> bool:
    """Whether a part of a location is no field, but says which kind of a union was checked: `<small>`."""
    return isinstance(part, str) and part.startswith("<")


def require_reason(reason: str, *, of: str) -> None:
    """Ask whether a person has said why.

    Raises:
        BadInputError: not a word; says what needs one.
    """
    if not reason.strip():
        raise BadInputError(f"{of} needs a reason, which is kept in the history: add --reason")
