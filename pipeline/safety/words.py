"""Names out of an untrusted file, told so that a person can read them: quoted, shortened, and not five hundred."""

from collections.abc import Sequence

_SHOWN = 3
_LONGEST = 120


def quoted(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")


def some(things: Sequence[str], *, shown: int = _SHOWN) -> str:
    """The first of them, and how many more there are."""
    told = ", ".join(things[:shown])
    return told if len(things) <= shown else f"{told} and {len(things) - shown} more"
