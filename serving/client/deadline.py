"""By when a request must be done, and how much of that an attempt may take. No input or output."""

import time
from collections.abc import Callable

# One for the list of replicas, if it is not known yet, and one for each of two attempts. What is not used is kept for
# the attempts that follow.
_PARTS = 3


class Deadline:
    """The end of a request, which may be several requests to servers.

    Args:
        seconds: for all of it.
        now: a clock, in seconds.

    Attributes:
        seconds: for all of it.
        part: for the list of replicas; the least that each of two attempts has if that and the attempts take no longer
            than they may.

    Raises:
        ValueError: the time is not above 0.
    """

    def __init__(self, seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        if not seconds > 0:
            raise ValueError(f"the timeout is {seconds} s; give a request a time above 0")
        self._now = now
        self._ends = now() + seconds
        self.seconds = seconds
        self.part = seconds / _PARTS

    def left(self) -> float:
        """The seconds that remain; 0 or less if it has passed."""
        return self._ends - self._now()

    def for_attempt(self, *, another: bool) -> float:
        """How long an attempt that begins now may take.

        Args:
            another: whether another attempt may follow if this one takes all of its time; then that one gets as much.
        """
        return self.left() / 2 if another else self.left()
