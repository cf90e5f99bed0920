"""The order of the points, and where a direction ends."""

import asyncio
from collections.abc import Callable, Sequence

from pipeline.profiling.measurement import Batching, Loop, Measurement, Point
from pipeline.profiling.sweep import Sweep
from tests.pipeline.profiling.points import closed, opened
from tests.pipeline.profiling.test_plan import BOTH, plan

Latency = Callable[[Point], float]


def swept(latency: Latency, *, servers: Sequence[Batching] = BOTH, now: Callable[[], float] = float) -> list[Point]:
    """The points that were measured, of a server with this p99 at each point."""
    found: list[Measurement] = []

    async def measure(point: Point) -> Measurement:
        p99 = latency(point)
        if point.loop is Loop.OPEN:
            return opened(rate=point.rate, p99=p99, batching=point.batching)
        return closed(batch=point.batch, clients=point.concurrency, p99=p99, batching=point.batching)

    sweep = Sweep(plan(), servers, measure, found=found.append, now=now)
    asyncio.run(sweep.run())
    return [each.point for each in found]


def test_all_points_of_a_quick_server_are_measured() -> None:
    assert plan().points(2) == len(swept(lambda _: 0.01))


def test_above_the_limit_no_more_clients_are_measured() -> None:
    points = swept(lambda point: 5.0 if point.concurrency >= 2 else 0.01)
    closed_loop = [(point.batch, point.concurrency) for point in points if point.loop is Loop.CLOSED]

    assert [(1, 1), (1, 1), (1, 2), (1, 2), (8, 1), (8, 1), (8, 2), (8, 2)] == closed_loop


def test_a_size_that_is_too_slow_for_one_client_is_the_last_one() -> None:
    points = swept(lambda point: 5.0 if point.batch == 1 else 0.01, servers=[Batching.OFF])
    closed_loop = [(point.batch, point.concurrency) for point in points if point.loop is Loop.CLOSED]

    assert [(1, 1)] == closed_loop


def test_one_server_ends_alone() -> None:
    points = swept(lambda point: 5.0 if point.batching is Batching.ON else 0.01)
    count = {each: sum(point.batching is each for point in points) for each in BOTH}

    assert {Batching.OFF: plan().points(1), Batching.ON: 2} == count


def test_rates_rise_from_the_best_closed_loop_until_one_is_too_high() -> None:
    """The closed loop of these servers gets 100 requests in a second."""
    points = swept(lambda point: 5.0 if point.rate > 80 else 0.01, servers=[Batching.OFF])

    assert [25.0, 50.0, 75.0, 90.0] == [point.rate for point in points if point.loop is Loop.OPEN]


def test_when_the_time_is_up_nothing_more_is_measured() -> None:
    """A minute passes with each look at the clock."""
    clock = iter(range(0, 10_000_000, 60))
    points = swept(lambda _: 0.01, now=lambda: float(next(clock)))

    assert 9 == len(points)
