"""Servers asked in turn by the same clients, and the ratio of what two of them answered."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.serving.load import Clients
from bench.serving.processes import BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench, Served

WARM_UP = 0.5


@dataclass(frozen=True)
class Contender:
    name: str
    served: Served


@dataclass(frozen=True)
class Turn:
    """One server's window in one round; `busy` is the share of requests that it answered 503."""

    rate: float
    busy: float
    cpu_milliseconds: float
    p99_milliseconds: float


def compare(contenders: Sequence[Contender], clients: Clients, bench: Bench) -> Mapping[str, Sequence[Turn]]:
    """The turns of each by name, round by round; raises BenchError when a request fails."""
    for contender in contenders:
        clients.run(contender.served.target, bench.seconds * WARM_UP)
    found: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
    for _ in range(bench.rounds):
        for contender in contenders:
            found[contender.name].append(_turn(contender, clients, bench.seconds))
    return found


def rates(found: Mapping[str, Sequence[Turn]], mine: str, other: str, *, figure: str, goal: float | None = None) -> Row:
    """How many times the answers per second of `other`: the median of the rounds' ratios."""
    pairs = zip(found[mine], found[other], strict=True)
    return Row(
        figure=figure,
        what=f"{mine} : {other}",
        value=statistics.median(first.rate / second.rate for first, second in pairs),
        ours=_words(found[mine]),
        baseline=_words(found[other]),
        goal=goal,
        at_least=True,
        note=_busy_words(found[mine]),
    )


def tails(found: Mapping[str, Sequence[Turn]], mine: str, other: str, *, figure: str, goal: float | None = None) -> Row:
    """How many times the p99 of `other`: the median of the rounds' ratios."""
    pairs = zip(found[mine], found[other], strict=True)
    ours, baseline = (statistics.median(turn.p99_milliseconds for turn in found[name]) for name in (mine, other))
    return Row(
        figure=figure,
        what=f"p99 of {mine} : {other}",
        value=statistics.median(first.p99_milliseconds / second.p99_milliseconds for first, second in pairs),
        ours=f"{ours:.1f} ms",
        baseline=f"{baseline:.1f} ms",
        goal=goal,
    )


def _turn(contender: Contender, clients: Clients, seconds: float) -> Turn:
    before = contender.served.cpu_seconds()
    window = clients.run(contender.served.target, seconds)
    spent = contender.served.cpu_seconds() - before
    if window.failures or not window.latencies:
        raise BenchError(f"{contender.name}: {window.failures} requests failed, {len(window.latencies)} answered")
    tail = statistics.quantiles([*window.latencies, max(window.latencies)], n=100, method="inclusive")[-1]
    return Turn(
        rate=window.rate,
        busy=window.busy / (window.busy + len(window.latencies)),
        cpu_milliseconds=1000 * spent / len(window.latencies),
        p99_milliseconds=1000 * tail,
    )


def _words(turns: Sequence[Turn]) -> str:
    rate = statistics.median(turn.rate for turn in turns)
    return f"{rate:.0f}/s, {statistics.median(turn.cpu_milliseconds for turn in turns):.2f} ms CPU each"


def _busy_words(turns: Sequence[Turn]) -> str:
    share = statistics.median(turn.busy for turn in turns)
    return f"{share:.1%} of the requests were answered 503; those clients waited as Retry-After says" if share else ""
