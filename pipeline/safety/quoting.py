"""Names out of an untrusted file, as a person can read them: quoted, shortened, and a few of many."""

from collections.abc import Sequence

from pipeline.first_few import first_few

_SHOWN = 3
_LONGEST = 120


def quoted(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")


def some(things: Sequence[str]) -> str:
    """The first three of them, and how many more there are."""
    return first_few(things, _SHOWN)
