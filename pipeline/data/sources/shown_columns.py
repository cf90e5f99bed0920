"""Names of columns and features in messages: there may be a million of them, and one may be as long as a file."""

from collections.abc import Sequence

from pipeline.first_few import first_few

_MOST = 12
_MOST_CHARACTERS = 80


def shown_columns(names: Sequence[str]) -> str:
    """The first dozen of the names, each cut after 80 characters, and how many more there are."""
    if not names:
        return "none"
    return first_few(names, _MOST, shown=_shortened)


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else f"{name[:_MOST_CHARACTERS]}..."
