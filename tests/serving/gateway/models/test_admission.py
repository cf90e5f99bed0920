"""How many images are in flight, on a fleet whose capacity the test knows and the limit does not."""

import heapq
import random
from contextlib import ExitStack

import pytest

from serving.gateway.models.admission import (
    FIRST_LIMIT,
    FORGET_SECONDS,
    HIGHEST_RATIO,
    LEAST_LIMIT,
    Admission,
    ShedError,
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
        self.admission = Admission(replicas=lambda: len(self._free), now=self.clock)
        self.seconds = seconds
        self._free = [0.0] * count
        self._random = random.Random(5)  # noqa: S311 - the same arrivals each time
        self.taken: list[float] = []
        self.refused = 0

    def arrivals(self, rate: float, *, seconds: float) -> None:
        """Requests with one image each, at random moments, so many a second."""
        ends = self.clock.seconds + seconds
        in_flight: list[tuple[float, int, ExitStack]] = []
        moment, number = self.clock.seconds, 0
        while moment < ends:
            while in_flight and in_flight[0][0] <= moment:
                self._finish(in_flight)
            self.clock.seconds = moment
            number += 1
            stack = ExitStack()
            try:
                stack.enter_context(self.admission.admitted(1))
            except ShedError:
                self.refused += 1
            else:
                begins = max(moment, heapq.heappop(self._free))
                heapq.heappush(self._free, begins + self.seconds)
                heapq.heappush(in_flight, (begins + self.seconds, number, stack))
                self.taken.append(begins + self.seconds - moment)
            moment += self._random.expovariate(rate)
        while in_flight:
            self._finish(in_flight)

    def _finish(self, in_flight: list[tuple[float, int, ExitStack]]) -> None:
        at, _, stack = heapq.heappop(in_flight)
        self.clock.seconds = max(self.clock.seconds, at)
        stack.close()


@pytest.mark.parametrize(("count", "seconds"), [(1, 0.01), (4, 0.05), (64, 0.2)])
def test_at_twice_the_capacity_answers_stay_fast_and_the_servers_stay_busy(count: int, seconds: float) -> None:
    """Without a limit the queue would grow for as long as the load lasts."""
    servers = Servers(count, seconds)
    servers.arrivals(0.3 * count / seconds, seconds=20)
    servers.arrivals(2 * count / seconds, seconds=40)
    settled = sorted(servers.taken[-len(servers.taken) // 4 :])
    before = len(servers.taken)
    servers.arrivals(2 * count / seconds, seconds=10)

    # Half more than the ratio: the limit shrinks only after an answer was too slow, and others are on their way then.
    # And as many as are never refused may be in the queue.
    assert settled[int(0.99 * len(settled))] < max(1.5 * HIGHEST_RATIO, LEAST_LIMIT / count) * seconds
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
    servers._free.extend([servers.clock.seconds] * 30)
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
    servers.arrivals(90, seconds=2 * FORGET_SECONDS + 1)
    limit = servers.admission.limit
    servers.arrivals(90, seconds=FORGET_SECONDS)

    assert LEAST_LIMIT < limit < servers.admission.limit


def test_a_batch_larger_than_the_limit_is_admitted_alone() -> None:
    admission = Admission(replicas=lambda: 1)
    with admission.admitted(10 * int(FIRST_LIMIT)), pytest.raises(ShedError), admission.admitted(1):
        pass

    assert (0, 1) == (admission.in_flight, admission.shed)


def test_a_request_that_fails_says_nothing_about_time_and_is_no_longer_in_flight() -> None:
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    request = admission.admitted(3)
    request.__enter__()
    clock.seconds += 100
    request.__exit__(RuntimeError, RuntimeError("no answer"), None)

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
        with admission.admitted(1):
            clock.seconds += 0.0019 if number % 2 else 0.0001

    assert FIRST_LIMIT == admission.limit


def test_images_of_a_batch_are_compared_with_batches_of_their_size() -> None:
    """A batch of 64 takes longer than one image, and that is no queue."""
    clock = Clock()
    admission = Admission(replicas=lambda: 1, now=clock)
    for images, seconds in ((1, 0.01), (64, 0.5)) * 100:
        with admission.admitted(images):
            clock.seconds += seconds

    assert FIRST_LIMIT <= admission.limit


def test_batches_that_come_together_are_both_admitted() -> None:
    """...although they have more images than the limit: there is nothing before them."""
    admission = Admission(replicas=lambda: 1)
    with admission.admitted(int(FIRST_LIMIT) - 1), admission.admitted(64):
        in_flight = admission.in_flight

    assert FIRST_LIMIT - 1 + 64 == in_flight
