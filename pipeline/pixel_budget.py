"""How many pixels are decoded at once: eight phone photographs may be, eight of the largest images may not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Lets blocks run at once as long as their pixels together are within a limit. A larger one runs alone.

    Args:
        pixels: the limit.
    """

    def __init__(self, pixels: int) -> None:
        self._limit = pixels
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many pixels, and hold them during the block."""
        wanted = min(pixels, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + wanted <= self._limit)
            self._taken += wanted
        try:
            yield
        finally:
            with self._changed:
                self._taken -= wanted
                self._changed.notify_all()
