"""Keep writes of one object apart.

Google Cloud Storage allows one per second; a faster writer gets an error, and so does every other one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pace:
    """Blocks for the same key run one at a time, at least `seconds` apart. Within this process only."""

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._ends: dict[str, float] = {}

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Wait for the turn of `key`; it ends with the block."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            rest = self._ends.get(key, float("-inf")) + self._seconds - self._clock()
            if rest > 0:
                self._sleep(rest)
            try:
                yield
            finally:
                self._ends[key] = self._clock()
