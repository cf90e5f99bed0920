"""A log line every few seconds from work that takes long, which shows that it is still running."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 5.0

log = logging.getLogger(__name__)


def _one(_: object) -> int:
    return 1


def logged(items: Iterable[T], what: str, *, total: int | None = None, count: Callable[[T], int] = _one) -> Iterator[T]:
    """The items, with a log line at most every five seconds on how many have gone by; `count` says what one counts."""
    of_all = f" of {total}" if total is not None else ""
    log_at = time.monotonic() + _SECONDS
    number = 0
    for item in items:
        yield item
        number += count(item)
        if time.monotonic() >= log_at:
            log.info("%s: %d%s", what, number, of_all)
            log_at = time.monotonic() + _SECONDS
