"""A limit of what is in memory at once: of eight photographs of a phone, but not of eight of the largest images."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Lets blocks run at once as long as their amounts together are within a limit. A larger one runs alone.

    Args:
        limit: in the unit of the amounts, such as pixels or bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Wait until there is room for this amount, and hold it during the block."""
        wanted = min(amount, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + wanted <= self._limit)
            self._taken += wanted
        try:
            yield
        finally:
            with self._changed:
                self._taken -= wanted
                self._changed.notify_all()
