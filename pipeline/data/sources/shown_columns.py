"""Names of columns and features in messages: there may be a million of them, and one may be as long as a file."""

from collections.abc import Sequence

_MOST = 12
_MOST_CHARACTERS = 80


def shown_columns(names: Sequence[str]) -> str:
    """The first dozen of the names, each cut after 80 characters, and how many more there are."""
    if not names:
        return "none"
    shown = ", ".join(
        name if len(name) <= _MOST_CHARACTERS else f"{name[:_MOST_CHARACTERS]}..." for name in names[:_MOST]
    )
    return shown + (f" and {len(names) - _MOST:,} more" if len(names) > _MOST else "")
