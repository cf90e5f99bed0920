"""Twice as many requests as can be answered, due at fixed times: who is let in must not wait for those who are not."""

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.gateway.http_load import HttpLoad, Outcome
from bench.gateway.servers import gateway, model_server, pets
from bench.serving.load import Clients, Target
from bench.serving.processes import BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench

FIGURE = "twice the capacity"
# So many keep every core busy, and none of them is refused.
CLIENTS = 2 * (os.cpu_count() or 1)
TIMES = 2.0
GOAL = 3.0
# Of the capacity: so few requests that they do not meet.
_UNLOADED = 0.2
_SETTLE_SECONDS = 0.5
_SHED = 503


@dataclass(frozen=True)
class Round:
    """Answers per second in a closed loop, and the outcomes at a fifth of that rate and at twice."""

    capacity: float
    unloaded: Sequence[Outcome]
    overloaded: Sequence[Outcome]
    seconds: float


def measure(bench: Bench) -> list[Row]:
    model = pets(bench)
    with (
        Clients(CLIENTS) as clients,
        HttpLoad() as load,
        model_server(bench, model) as server,
        gateway(bench, model, server) as front,
    ):
        clients.run(front.target, bench.seconds / 2)
        rounds = [_round(clients, load, front.target, bench.seconds) for _ in range(bench.rounds)]
    return rows(rounds)


def _round(clients: Clients, load: HttpLoad, target: Target, seconds: float) -> Round:
    capacity = clients.run(target, seconds).rate
    if not capacity:
        raise BenchError("the gateway answers nothing but errors")
    unloaded = load.offer(target, rate=_UNLOADED * capacity, seconds=2 * seconds)
    overloaded = load.offer(target, rate=TIMES * capacity, seconds=seconds)
    # Late answers must not slow the next round down.
    load.offer(target, rate=1.0, seconds=_SETTLE_SECONDS)
    return Round(capacity, unloaded, overloaded, seconds)


def rows(rounds: Sequence[Round]) -> list[Row]:
    """Percentiles are of all rounds together: each has few requests."""
    calm = p99([outcome for each in rounds for outcome in each.unloaded])
    busy = p99([outcome for each in rounds for outcome in each.overloaded])
    statuses = Counter(outcome.status for each in rounds for outcome in each.overloaded)
    capacity = statistics.median(each.capacity for each in rounds)
    good = statistics.median(
        sum(outcome.status == 200 for outcome in each.overloaded) / each.seconds / each.capacity for each in rounds
    )
    others = {status: count for status, count in statuses.items() if status not in (200, _SHED)}
    return [
        Row(
            figure=FIGURE,
            what="p99 of the admitted : p99 unloaded",
            value=busy / calm,
            ours=f"{1000 * busy:.1f} ms",
            baseline=f"{1000 * calm:.1f} ms",
            goal=GOAL,
            note=f"{capacity:.0f} answers a second are the capacity; {statuses.total()} requests at twice that",
        ),
        Row(figure=FIGURE, what="answered 503", value=statuses[_SHED] / statuses.total()),
        Row(figure=FIGURE, what="answered 200 in a second : capacity", value=good),
        Row(
            figure=FIGURE,
            what="other answers, or none",
            value=sum(others.values()),
            unit="",
            goal=0,
            note=f"by status, 0 is no answer: {others}" if others else "",
        ),
    ]


def p99(outcomes: Sequence[Outcome]) -> float:
    """Of the requests that were answered 200, in seconds; raises BenchError when there are too few to say."""
    latencies = [outcome.latency for outcome in outcomes if outcome.status == 200]
    if len(latencies) < 2:
        raise BenchError(f"{len(latencies)} of {len(outcomes)} requests were answered with 200")
    return statistics.quantiles(latencies, n=100, method="inclusive")[-1]
