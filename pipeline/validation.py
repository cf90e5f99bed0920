"""What is wrong with what a person wrote, in words for that person."""

from pydantic import ValidationError

from pipeline.errors import BadInputError


def problems(error: ValidationError, *, prefix: str = "") -> str:
    """Every field that pydantic found wrong, with why and the value given; `prefix` makes a field a variable's name."""
    return "; ".join(
        f"{_name(each['loc'], prefix)}: {each['msg'].removeprefix('Value error, ')}"
        # What is missing has no value; pydantic gives what it is missing from.
        + ("" if each["type"] == "missing" else f" (got {each['input']!r:.80})")
        for each in error.errors()
    )


def _name(location: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(str(part) for part in location) or "the whole"
    return f"{prefix}{name.upper()}" if prefix else name


def require_reason(reason: str, *, of: str) -> None:
    """Ask whether a person has said why.

    Raises:
        BadInputError: not a word; says what needs one.
    """
    if not reason.strip():
        raise BadInputError(f"{of} needs a reason; the history keeps it for whoever asks later")
