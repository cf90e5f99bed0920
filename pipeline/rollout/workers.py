"""Run pieces of work beside the caller, a bounded number at once.

The waits of the model check run in simulated time, where nothing may run beside the caller. There the same questions
are asked one after the other (`tests.protocol.in_turn`).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class Workers(Protocol):
    """Does pieces of work. One thread uses it, and closes it.

    Attributes:
        slots: how many pieces may be at work at once.
    """

    @property
    def slots(self) -> int: ...

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` soon, or at once before this returns. It must not raise."""

    def close(self) -> None:
        """Drop what has not begun, and return when everything that has begun is done."""


class Threads:
    """See `Workers`. A thread is only created when there is work for it."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="replicas")

    def start(self, work: Callable[[], None]) -> None:
        self._pool.submit(work)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
