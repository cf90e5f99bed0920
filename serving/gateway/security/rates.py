"""How often somebody may ask: a token bucket for each name."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Names that are remembered at a time. Beyond, the one that asked longest ago is forgotten: its next bucket is full.
LARGEST = 4096


@dataclass
class _Bucket:
    tokens: float
    filled: float


class Rates:
    """Token buckets. A bucket holds the requests of one second, at least one, and fills with the rate.

    Args:
        clock: seconds; a step back adds nothing.
        largest: how many names are remembered.
    """

    def __init__(self, *, clock: Callable[[], float], largest: int = LARGEST) -> None:
        self._clock = clock
        self._largest = largest
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_seconds(self, name: str, rate: float) -> float:
        """Take a token: 0.0 if there was one, else the seconds until there is one, and none is taken.

        Args:
            name: whose bucket.
            rate: requests per second, above 0. It may differ from the last call's, when a file of keys has changed.
        """
        now = self._clock()
        capacity = max(1.0, rate)
        bucket = self._buckets.pop(name, None) or _Bucket(capacity, now)
        self._buckets[name] = bucket
        if len(self._buckets) > self._largest:
            self._buckets.popitem(last=False)
        bucket.tokens = min(capacity, bucket.tokens + max(0.0, now - bucket.filled) * rate)
        bucket.filled = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / rate


def retry_after(seconds: float) -> bytes:
    """The header's value: whole seconds, at least 1."""
    return str(max(1, math.ceil(seconds))).encode()
