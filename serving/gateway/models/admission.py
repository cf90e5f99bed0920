"""How many images of a model may be in flight, and how many may wait for that. More are refused at once.

Nobody knows the capacity of a fleet: it changes with the model, the machines and the number of replicas. What can be
seen is that answers take longer than they could. So the limit follows the ratio of an answer's time to the best time
seen lately for as many images: while that is low, the limit grows by one for each round; when it is high, it shrinks
by as much as the ratio is too high. Until that has happened once, it grows with each answer, because a large fleet
should not refuse requests while its size is found out. This is TCP's slow start, additive increase and multiplicative
decrease, with delay as the signal, as in TCP Vegas (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on
a Global Internet", IEEE JSAC 1995).

A few requests more wait here, in their order. A server shares its cores among all that it has, so that some of them
take several times as long as others; who waits here gets a turn after those who came before. No input or output.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# The mean of the last answers may take so many times the best time before the limit shrinks.
HIGHEST_RATIO = 2.0
# While a size is found out, the first sign of a queue ends the quick growth: one round of it is on its way by then.
QUICK_RATIO = 1.5
# How much one answer moves the mean.
WEIGHT = 0.125
# Images in flight that there may always be: in all, and for each replica; and at first.
LEAST_LIMIT = 2.0
LEAST_OF_A_REPLICA = 1
FIRST_LIMIT = 4.0
FIRST_OF_A_REPLICA = 4
MOST_LIMIT = 4096.0
# Images that may wait: this share of those that may be in flight. In flight and waiting there may always be so many.
WAITING = 0.5
NEVER_REFUSED = 6.0
# The most and the least that a round takes away: a queue that is twice as long as it may be is halved at once.
LEAST_SHRINK, MOST_SHRINK = 0.9, 0.25
# The limit grows while more than this share of it is in use.
USED = 0.75
# After so long the best time is looked for anew: another version may be slower.
FORGET_SECONDS = 30.0
# Times below this are noise of the network and of the event loop, and no sign of a queue, in seconds.
NOISE_SECONDS = 0.005


class ShedError(Exception):
    """Too many are waiting; the request should be tried again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests are in flight")
        self.seconds = seconds


@dataclass(eq=False)
class Ticket:
    """A request that has been admitted.

    Attributes:
        images: how many it has.
        start: called when it may be sent.
        is_started: whether it may.
        began: when it could be sent, by the clock of the admission.
        busy: images in flight then, with its own.
    """

    images: int
    start: Callable[[], None]
    is_started: bool = False
    began: float = 0.0
    busy: int = 0


class Admission:
    """The limit for one model. Belongs to one event loop.

    Args:
        replicas: how many there are now.
        now: a clock, in seconds.

    Attributes:
        in_flight: images that are being asked about.
        waiting: images that wait for their turn.
        limit: how many there may be in flight.
        shed: how many requests were refused.
    """

    def __init__(self, *, replicas: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas
        self._now = now
        self.in_flight = 0
        self.waiting = 0
        self.limit = FIRST_LIMIT
        self.shed = 0
        self._queue: deque[Ticket] = deque()
        self._best: dict[int, _Best] = {}
        self._ratio = 1.0
        self._has_shrunk = False
        self._shrunk_at = -float("inf")
        self._last_seconds = 0.0

    def enter(self, images: int, start: Callable[[], None]) -> Ticket:
        """Admit a request with so many images; `leave` must follow. `start` is called now or when it is its turn.

        Raises:
            ShedError: too many are waiting.
        """
        self.require_room()
        ticket = Ticket(images, start)
        self._queue.append(ticket)
        self.waiting += images
        self._start_next()
        return ticket

    def leave(self, ticket: Ticket, *, answered: bool) -> None:
        """The request has ended, or its client does not wait any more.

        Args:
            ticket: of the request.
            answered: whether it ended with an answer. Only that says how long an answer takes.
        """
        if ticket.is_started:
            self.in_flight -= ticket.images
            if answered:
                self._learn(ticket)
        else:
            self.waiting -= ticket.images
            self._queue.remove(ticket)
        self._start_next()

    def require_room(self) -> None:
        """Check that a request may enter. One with many images may pass the limit by them: it is the last to enter.

        Raises:
            ShedError: it must not.
        """
        limit = self._limit_now()
        if self.in_flight + self.waiting >= max((1 + WAITING) * limit, NEVER_REFUSED):
            self.shed += 1
            raise ShedError(max(1.0, self._last_seconds))

    def overloaded(self) -> None:
        """A replica said that its queue is full."""
        self._shrink(self._now(), self._last_seconds, LEAST_SHRINK)

    def _start_next(self) -> None:
        while self._queue and self.in_flight < self._limit_now():
            ticket = self._queue.popleft()
            self.waiting -= ticket.images
            self.in_flight += ticket.images
            ticket.is_started, ticket.began, ticket.busy = True, self._now(), self.in_flight
            ticket.start()

    def _limit_now(self) -> float:
        if not self._has_shrunk:
            self.limit = max(self.limit, FIRST_OF_A_REPLICA * self._replicas())
        return self.limit

    def _learn(self, ticket: Ticket) -> None:
        now = self._now()
        self._last_seconds = seconds = now - ticket.began
        best = self._best.setdefault(ticket.images.bit_length(), _Best(now))
        ratio = max(seconds, NOISE_SECONDS) / max(best.lowest(seconds, now), NOISE_SECONDS)
        self._ratio += WEIGHT * (ratio - self._ratio)
        if self._ratio > HIGHEST_RATIO:
            self._shrink(now, seconds, HIGHEST_RATIO / self._ratio)
        elif ticket.busy > USED * self.limit:
            # Only then is there anything to learn from more. What grew without need would be a queue as soon as there
            # is too much load.
            finding_out = not self._has_shrunk and max(ratio, self._ratio) < QUICK_RATIO
            growth = ticket.images if finding_out else ticket.images / self.limit
            self.limit = min(self.limit + growth, MOST_LIMIT)

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
