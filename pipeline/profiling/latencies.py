"""Latencies of any number of requests in a fixed amount of memory, and their percentiles.

A histogram whose bins grow with their value, as in Gil Tene's HdrHistogram: from 10 microseconds to 1,000 seconds, each
bin 2 % wider than the one before. So a percentile is at most 2 % above the latency that it stands for. The largest
latency is kept as it is.
"""

import math
from itertools import accumulate

_SMALLEST = 1e-5
_LARGEST = 1e3
_GROWTH = 1.02
_LOG_GROWTH = math.log(_GROWTH)
_BINS = math.ceil(math.log(_LARGEST / _SMALLEST) / _LOG_GROWTH) + 1


class Latencies:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS
        self.count = 0
        self.largest = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency; a negative one counts as none at all."""
        self._counts[_bin(seconds)] += 1
        self.count += 1
        self.largest = max(self.largest, seconds)

    def percentile(self, percent: float) -> float:
        """The seconds within which so many percent of the requests were answered; NaN without any.

        It is the nearest rank: the smallest latency with at least so many percent at or below it, at most 2 % off.
        """
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(self.count * percent / 100))
        number = next(number for number, seen in enumerate(accumulate(self._counts)) if seen >= rank)
        return min(_upper(number), self.largest)


def _bin(seconds: float) -> int:
    if seconds <= _SMALLEST:
        return 0
    return min(math.ceil(math.log(seconds / _SMALLEST) / _LOG_GROWTH), _BINS - 1)


def _upper(number: int) -> float:
    """The largest latency of a bin; of the last one there is none."""
    return math.inf if number == _BINS - 1 else _SMALLEST * _GROWTH**number
