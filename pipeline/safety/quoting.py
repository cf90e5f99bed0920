"""Names out of an untrusted file, as a person can read them: quoted, shortened, and a few of many."""

from collections.abc import Sequence

_SHOWN = 3
_LONGEST = 120


def quoted(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")


def some(things: Sequence[str], *, shown: int = _SHOWN) -> str:
    """The first of them, and how many more there are."""
    shown_things = ", ".join(things[:shown])
    return shown_things if len(things) <= shown else f"{shown_things} and {len(things) - shown} more"
