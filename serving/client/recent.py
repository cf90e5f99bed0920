"""How many outcomes of late were good and how many bad. No input or output."""

from dataclasses import dataclass


@dataclass
class Recent:
    """Counts the outcomes of the last one to two spans of time. Not safe to use from several threads.

    Two counters take turns, so a count costs the same however many there are.

    Attributes:
        span: in seconds.
    """

    span: float
    _since: float = -float("inf")
    _good: int = 0
    _bad: int = 0
    _good_before: int = 0
    _bad_before: int = 0

    def count(self, now: float, *, good: bool) -> None:
        """Add an outcome, at this time of a clock."""
        if now - self._since >= self.span:
            self._turn(now)
        if good:
            self._good += 1
        else:
            self._bad += 1

    def totals(self, now: float) -> tuple[int, int]:
        """How many were good, and how many bad."""
        if now - self._since >= self.span:
            self._turn(now)
        return self._good + self._good_before, self._bad + self._bad_before

    def clear(self) -> None:
        self._good = self._bad = self._good_before = self._bad_before = 0

    def _turn(self, now: float) -> None:
        recent = now - self._since < 2 * self.span
        self._good_before, self._bad_before = (self._good, self._bad) if recent else (0, 0)
        self._good = self._bad = 0
        self._since = now
