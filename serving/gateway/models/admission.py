"""How many images of a model may be in flight. More are refused at once, before a queue makes everybody wait.

Nobody knows the capacity of a fleet: it changes with the model, the machines and the number of replicas. What can be
seen is that answers take longer than they could. So the limit follows the ratio of an answer's time to the best time
seen lately for as many images: while that is low, the limit grows by one for each round; when it is high, it shrinks
by as much as the ratio is too high. Until that has happened once, it grows with each answer, because a large fleet
should not refuse requests while its size is found out. This is TCP's slow start, additive increase and multiplicative
decrease, with delay as the signal, as in TCP Vegas (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on
a Global Internet", IEEE JSAC 1995). No input or output.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# An answer may take so many times the best time before the limit shrinks. With less, clients that only keep all cores
# of the servers busy are refused; with more, the waiting is most of what people notice.
HIGHEST_RATIO = 4.0
# While a size is found out, the first sign of a queue ends the quick growth: one round of it is on its way by then.
QUICK_RATIO = 2.0
# Images in flight that are never refused: in all, and for each replica. Two cores that each have a few requests waiting
# are busy, and no more than that.
LEAST_LIMIT = 8.0
LEAST_OF_A_REPLICA = 1
FIRST_LIMIT = 8.0
FIRST_OF_A_REPLICA = 4
MOST_LIMIT = 4096.0
# The most and the least that a round takes away: a queue that is twice as long as it may be is halved at once.
LEAST_SHRINK, MOST_SHRINK = 0.9, 0.25
# The limit grows while more than this share of it is in use.
USED = 0.75
# After so long the best time is looked for anew: another version may be slower.
FORGET_SECONDS = 30.0
# Times below this are noise of the network and of the event loop, and no sign of a queue, in seconds.
NOISE_SECONDS = 0.005


class ShedError(Exception):
    """The limit is reached; the request should be tried again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests are in flight")
        self.seconds = seconds


class Admission:
    """The limit for one model. Belongs to one event loop.

    Args:
        replicas: how many there are now.
        now: a clock, in seconds.

    Attributes:
        in_flight: images that are being asked about.
        limit: how many there may be.
        shed: how many requests were refused.
    """

    def __init__(self, *, replicas: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas
        self._now = now
        self.in_flight = 0
        self.limit = FIRST_LIMIT
        self.shed = 0
        self._best: dict[int, _Best] = {}
        self._has_shrunk = False
        self._shrunk_at = -float("inf")
        self._last_seconds = 0.0

    @contextmanager
    def admitted(self, images: int) -> Iterator[None]:
        """Count a request with so many images while it is in flight.

        Only a request that ends without an exception says how long an answer takes.

        Raises:
            ShedError: it must not begin now.
        """
        self.require_room()
        self.in_flight += images
        busy = self.in_flight
        began = self._now()
        try:
            yield
            self._learn(images, self._now() - began, busy)
        finally:
            self.in_flight -= images

    def require_room(self) -> None:
        """Check that a request may begin. One with many images may pass the limit by them: it is the last to begin.

        Raises:
            ShedError: it must not.
        """
        if self.in_flight >= self._limit_now():
            self.shed += 1
            raise ShedError(max(1.0, self._last_seconds))

    def _limit_now(self) -> float:
        if not self._has_shrunk:
            self.limit = max(self.limit, FIRST_OF_A_REPLICA * self._replicas())
        return self.limit

    def overloaded(self) -> None:
        """A replica said that its queue is full, or did not answer in time."""
        self._shrink(self._now(), self._last_seconds, LEAST_SHRINK)

    def _learn(self, images: int, seconds: float, busy: int) -> None:
        now = self._now()
        best = self._best.setdefault(images.bit_length(), _Best(now))
        ratio = max(seconds, NOISE_SECONDS) / max(best.lowest(seconds, now), NOISE_SECONDS)
        self._last_seconds = seconds
        if ratio > HIGHEST_RATIO:
            self._shrink(now, seconds, HIGHEST_RATIO / ratio)
        elif busy > USED * self.limit:
            # Only then is there anything to learn from more. What grew without need would be a queue as soon as there
            # is too much load.
            finding_out = not self._has_shrunk and ratio < QUICK_RATIO
            self.limit = min(self.limit + (images if finding_out else images / self.limit), MOST_LIMIT)

    def _shrink(self, now: float, seconds: float, factor: float) -> None:
        # Once for each round: the answers that follow were asked for before the limit shrank.
        if now - self._shrunk_at >= seconds:
            self._shrunk_at, self._has_shrunk = now, True
            least = max(LEAST_LIMIT, LEAST_OF_A_REPLICA * self._replicas())
            self.limit = max(least, self.limit * min(LEAST_SHRINK, max(MOST_SHRINK, factor)))


class _Best:
    """The best time of the last one to two periods of FORGET_SECONDS, in seconds."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._before = self._current = float("inf")

    def lowest(self, seconds: float, now: float) -> float:
        if now - self._began >= FORGET_SECONDS:
            self._began, self._before, self._current = now, self._current, float("inf")
        self._current = min(self._current, seconds)
        return min(self._before, self._current)
