"""What pydantic found wrong, in words for the person who wrote it."""

from pydantic import ValidationError


def problems(error: ValidationError, *, prefix: str = "") -> str:
    """Every wrong field with what is wrong and the value given; `prefix` makes a field a variable's name."""
    return "; ".join(
        f"{_name(each['loc'], prefix)}: {each['msg']} (got {each['input']!r:.80})" for each in error.errors()
    )


def _name(location: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(str(part) for part in location) or "the whole"
    return f"{prefix}{name.upper()}" if prefix else name
