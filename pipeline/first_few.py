"""A few of many things in a message: there may be a million of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def first_few(things: Sequence[T], most: int, *, shown: Callable[[T], str] = str, separator: str = ", ") -> str:
    """The first of them, and how many more there are: `a, b and 3 more`; with another separator `a; b; and 3 more`.

    Args:
        things: in their order.
        most: so many are named.
        shown: the text for one of them. It is called for those that are named.
        separator: between two of them.
    """
    named = separator.join(map(shown, things[:most]))
    rest = len(things) - most
    before = " " if separator == ", " else separator
    return f"{named}{before}and {rest:,} more" if rest > 0 else named
