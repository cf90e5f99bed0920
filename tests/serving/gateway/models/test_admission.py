"""How many images are in flight, on a fleet whose capacity the test knows and the limit does not."""

import heapq
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from serving.gateway.models.admission import (
    FIRST_LIMIT,
    FORGET_SECONDS,
    HIGHEST_RATIO,
    LEAST_LIMIT,
    NEVER_REFUSED,
    WAITING,
    Admission,
    ShedError,
    Ticket,
)


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Servers:
    """So many servers with a queue, each of which takes `seconds` for an image. One request after the other arrives."""

    def __init__(self, count: int, seconds: float) -> None:
        self.clock = Clock()
        self.admission = Admission(replicas=lambda: len(self.free), now=self.clock)
        self.seconds = seconds
        self.free = [0.0] * count
        self.taken: list[float] = []
        self.refused = 0
        self._random = random.Random(5)  # noqa: S311 - the same arrivals each time
        self._in_flight: list[tuple[float, int, float, list[Ticket]]] = []
        self._number = 0

    def arrivals(self, rate: float, *, seconds: float) -> None:
        """Requests with one image each, at random moments, so many a second."""
        ends = self.clock.seconds + seconds
        moment = self.clock.seconds
        while moment < ends:
            while self._in_flight and self._in_flight[0][0] <= moment:
                self._finish()
            self.clock.seconds = moment
            self._arrive(moment)
            moment += self._random.expovariate(rate)
        while self._in_flight:
            self._finish()

    def _arrive(self, moment: float) -> None:
        ticket: list[Ticket] = []

        def start() -> None:
            # The ticket is there once `enter` has returned, and what it started then has not ended.
            self._number += 1
            begins = max(self.clock.seconds, heapq.heappop(self.free))
            heapq.heappush(self.free, begins + self.seconds)
            heapq.heappush(self._in_flight, (begins + self.seconds, self._number, moment, ticket))

        try:
            ticket.append(self.admission.enter(1, start))
        except ShedError:
            self.refused += 1

    def _finish(self) -> None:
        at, _, arrived, (ticket,) = heapq.heappop(self._in_flight)
        self.clock.seconds = max(self.clock.seconds, at)
        self.taken.append(at - arrived)
        self.admission.leave(ticket, answered=True)


@contextmanager
def admitted(admission: Admission, images: int) -> Iterator[Ticket]:
    """A request that is answered when the block ends."""
    ticket = admission.enter(images, lambda: None)
    yield ticket
    admission.leave(ticket, answered=True)


@pytest.mark.parametrize(("count", "seconds"), [(1, 0.01), (4, 0.05), (64, 0.2)])
def test_at_twice_the_capacity_answers_stay_fast_and_the_servers_stay_busy(count: int, seconds: float) -> None:
    """Without a limit the queue would grow for as long as the load lasts."""
    servers = Servers(count, seconds)
    servers.arrivals(0.3 * count / seconds, seconds=20)
    servers.arrivals(2 * count / seconds, seconds=40)
    settled = sorted(servers.taken[-len(servers.taken) // 4 :])
    before = len(servers.taken)
    servers.arrivals(2 * count / seconds, seconds=10)

    # Half more than the ratio, because the limit shrinks only after answers were too slow; then those that wait. Or as
    # many as are never refused.
    longest = max(1.5 * HIGHEST_RATIO * (1 + WAITING), NEVER_REFUSED / count) * seconds
    assert settled[int(0.99 * len(settled))] <= longest
    assert 0.95 * 10 * count / seconds < len(servers.taken) - before


@pytest.mark.parametrize("count", [1, 64])
def test_below_the_capacity_nobody_is_refused(count: int) -> None:
    servers = Servers(count, 0.05)
    servers.arrivals(0.5 * count / 0.05, seconds=60)

    assert 0 == servers.refused


def test_the_limit_grows_with_the_fleet() -> None:
    """A fleet that was too small for its load gets more replicas."""
    servers = Servers(2, 0.05)
    servers.arrivals(200, seconds=30)
    small = servers.admission.limit
    servers.free.extend([servers.clock.seconds] * 30)
    servers.arrivals(400, seconds=60)
    refused = servers.refused
    servers.arrivals(400, seconds=10)

    assert small < servers.admission.limit
    assert refused == servers.refused


def test_a_slower_version_is_measured_by_its_own_best_time() -> None:
    """...once that of the version before is forgotten: its answers are no sign of a queue."""
    servers = Servers(8, 0.01)
    servers.arrivals(200, seconds=FORGET_SECONDS)
    servers.seconds = 0.08
    servers.arrivals(90, seconds=FORGET_SECONDS / 2)
    remembered = servers.admission.limit
    servers.arrivals(90, seconds=2 * FORGET_SECONDS)

    # One for each replica, and then as many as make an answer take a little longer.
    assert 8 == remembered
    assert 12 < servers.admission.limit


def test_a_batch_larger_than_the_limit_is_admitted_alone() -> None:
    admission = Admission(replicas=lambda: 1)
    with admitted(admission, 10 * int(FIRST_LIMIT)), pytest.raises(ShedError), admitted(admission, 1):
        pass

    assert (0, 1) == (admission.in_flight, admission.shed)


def test_a_request_that_fails_says_nothing_about_time_and_is_no_longer_in_flight() -> None:
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    ticket = admission.enter(3, lambda: None)
    clock.seconds += 100
    admission.leave(ticket, answered=False)

    assert (0, FIRST_LIMIT) == (admission.in_flight, admission.limit)


def test_failures_for_want_of_an_answer_shrink_the_limit_to_its_least_and_not_below() -> None:
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    for _ in range(100):
        clock.seconds += 1
        admission.overloaded()

    assert LEAST_LIMIT == admission.limit


def test_times_of_the_network_alone_are_no_sign_of_a_queue() -> None:
    """0.1 ms and 1.9 ms: nineteen times the best time, and nobody waits."""
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    for number in range(1000):
        with admitted(admission, 1):
            clock.seconds += 0.0019 if number % 2 else 0.0001

    assert FIRST_LIMIT == admission.limit


def test_images_of_a_batch_are_compared_with_batches_of_their_size() -> None:
    """A batch of 64 takes longer than one image, and that is no queue."""
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    for images, seconds in ((1, 0.01), (64, 0.5)) * 100:
        with admitted(admission, images):
            clock.seconds += seconds

    assert FIRST_LIMIT <= admission.limit


def test_batches_that_come_together_are_both_admitted() -> None:
    """...although they have more images than the limit: there is nothing before them."""
    admission = Admission(replicas=lambda: 1)
    with admitted(admission, int(FIRST_LIMIT) - 1), admitted(admission, 64):
        in_flight = admission.in_flight

    assert FIRST_LIMIT - 1 + 64 == in_flight


def test_requests_wait_for_their_turn_in_the_order_in_which_they_came() -> None:
    started: list[int] = []
    admission = Admission(replicas=lambda: 1)
    tickets = [admission.enter(1, partial(started.append, number)) for number in range(6)]
    at_first = list(started)
    for ticket in tickets[:3]:
        admission.leave(ticket, answered=True)

    assert [0, 1, 2, 3] == at_first
    assert [0, 1, 2, 3, 4, 5] == started
    assert (3, 0) == (admission.in_flight, admission.waiting)


def test_a_client_that_does_not_wait_any_more_leaves_its_place_to_the_next() -> None:
    started: list[int] = []
    admission = Admission(replicas=lambda: 1)
    tickets = [admission.enter(1, partial(started.append, number)) for number in range(6)]
    admission.leave(tickets[4], answered=False)
    admission.leave(tickets[0], answered=False)

    assert [0, 1, 2, 3, 5] == started
    assert (4, 0) == (admission.in_flight, admission.waiting)


def test_six_clients_that_send_one_image_each_are_never_refused() -> None:
    """...whatever the limit has become."""
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    for _ in range(100):
        clock.seconds += 1
        admission.overloaded()
    for _ in range(int(NEVER_REFUSED)):
        admission.enter(1, lambda: None)

    with pytest.raises(ShedError):
        admission.enter(1, lambda: None)
    assert (LEAST_LIMIT, NEVER_REFUSED - LEAST_LIMIT) == (admission.in_flight, admission.waiting)
