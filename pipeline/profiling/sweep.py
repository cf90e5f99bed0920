"""The order in which points are measured, and when a direction is not followed further."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pipeline.profiling.measurement import Batching, Measurement, Point
from pipeline.profiling.plan import Plan, closed_points, open_points

Measure = Callable[[Point], Awaitable[Measurement]]


class Sweep:
    """Measures the points of a plan: the closed loop by batch size and concurrency, then the open loop by rate.

    One point after the other, each on every server before the next, so that all servers are compared on the same
    machine in the same minute. A server that is beyond the limit of latency at some concurrency, size or rate is not
    measured at higher ones.

    Args:
        plan: what to measure.
        servers: which servers there are.
        measure: measures one point.
        found: called with each measurement when it is there.
        now: a clock, in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        servers: Sequence[Batching],
        measure: Measure,
        *,
        found: Callable[[Measurement], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._servers = servers
        self._measure = measure
        self._found = found
        self._now = now
        self._end = now() + plan.minutes * 60
        self._best = 0.0
        self.out_of_time = False

    async def run(self) -> None:
        """Measure until all is measured or the time is up; then `out_of_time` says so."""
        smallest = self._plan.batches[0]
        following = set(self._servers)
        for by_concurrency in closed_points(self._plan, self._servers):
            following = await self._follow(by_concurrency, following)
        rates = self._plan.rates_for(self._best)
        await self._follow(open_points(rates, self._servers, batch=smallest), set(self._servers))

    async def _follow(self, steps: Iterable[list[Point]], following: set[Batching]) -> set[Batching]:
        """Measure step by step as long as a server is within the limit; which servers were, at the first step."""
        followed, after_first = set(following), set(following)
        for number, step in enumerate(steps):
            for point in step:
                if point.batching not in followed:
                    continue
                if self._now() >= self._end:
                    self.out_of_time = True
                    return set()
                if not await self._is_within(point):
                    followed.discard(point.batching)
            if number == 0:
                after_first = set(followed)
        return after_first

    async def _is_within(self, point: Point) -> bool:
        measurement = await self._measure(point)
        self._found(measurement)
        if point.concurrency and point.batch == self._plan.batches[0]:
            self._best = max(self._best, measurement.requests_per_second)
        return not measurement.is_beyond(self._plan.latency_limit)
