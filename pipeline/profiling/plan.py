"""Which points are measured, in which order, and how long that takes at most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import BadInputError
from pipeline.profiling.measurement import Batching, Loop, Point

# Of the most requests in a second that a closed loop has got, on any of the servers: two below, three around the end.
SHARES = (0.25, 0.5, 0.75, 0.9, 1.1)
# Before each point its load runs for a part of its time that does not count, so that connections and caches are warm.
_WARM_SHARE = 0.2
_MOST_WARM_SECONDS = 0.5

LARGEST_BATCH = 256
MOST_CLIENTS = 32


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a person has asked for.

    Attributes:
        batches: images in a request, ascending.
        concurrencies: clients of the closed loop, ascending.
        rates: requests in a second of the open loop; empty: `SHARES` of what the closed loop has reached.
        seconds: that count of each point.
        latency_limit: seconds; a direction in which p99 is above it is not followed further.
        minutes: all points together may take so long.
    """

    batches: Sequence[int]
    concurrencies: Sequence[int]
    rates: Sequence[float]
    seconds: float
    latency_limit: float
    minutes: float

    @property
    def warm_seconds(self) -> float:
        return min(self.seconds * _WARM_SHARE, _MOST_WARM_SECONDS)

    @property
    def deadline(self) -> float:
        """The seconds that each request has: enough to see that the limit is exceeded, and by how much."""
        return max(1.0, 3 * self.latency_limit)

    def points(self, servers: int) -> int:
        """How many points there are at most."""
        return servers * (len(self.batches) * len(self.concurrencies) + len(self.rates or SHARES))

    def most_seconds(self, servers: int) -> float:
        """How long these take, without points that end late because their last requests do."""
        return self.points(servers) * (self.seconds + self.warm_seconds)

    def require_short_enough(self, servers: int) -> None:
        """Refuse a plan that takes longer than it may.

        Raises:
            BadInputError: says how long it takes.
        """
        needed = self.most_seconds(servers)
        if needed > self.minutes * 60:
            raise BadInputError(
                f"{self.points(servers)} points of {self.seconds:g} s take {duration(needed)}, and --minutes is "
                f"{self.minutes:g}. Name fewer --batch-sizes or --concurrency, give less --seconds, or more --minutes"
            )

    def rates_for(self, best: float) -> list[float]:
        """The rates of the open loop, if the best closed loop had so many requests in a second."""
        return [float(rate) for rate in self.rates] or [best * share for share in SHARES if best > 0]


def closed_points(plan: Plan, servers: Sequence[Batching]) -> Iterator[Iterator[list[Point]]]:
    """For each batch size the points by concurrency, each one of all servers: so all of them see the same machine."""
    for batch in plan.batches:
        yield (
            [Point(batching=server, loop=Loop.CLOSED, batch=batch, concurrency=clients) for server in servers]
            for clients in plan.concurrencies
        )


def open_points(rates: Sequence[float], servers: Sequence[Batching], *, batch: int) -> Iterator[list[Point]]:
    """The points of the open loop, by rate, each one of all servers."""
    for rate in sorted(rates):
        yield [Point(batching=server, loop=Loop.OPEN, batch=batch, rate=rate) for server in servers]


def whole_numbers(text: str, *, option: str, limit: int) -> list[int]:
    """The values of an option such as `1,2,4`, ascending, each once.

    Raises:
        BadInputError: one is not a whole number from 1 to `limit`.
    """
    values = set()
    for part in text.split(","):
        word = part.strip()
        if not word.isascii() or not word.isdigit() or not 1 <= int(word[:9]) <= limit:
            raise BadInputError(f"{option} {text!r}: {word!r} is not a whole number from 1 to {limit}")
        values.add(int(word))
    return sorted(values)


def duration(seconds: float) -> str:
    """A length of time for people: `90 s`, `4.5 minutes`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def rates_of(text: str) -> list[float]:
    """The rates of `--rates`, ascending; none for `auto`.

    Raises:
        BadInputError: one is not a number above zero.
    """
    if text == "auto":
        return []
    try:
        rates = sorted({float(part) for part in text.split(",")})
    except ValueError:
        rates = [0.0]
    if not all(0 < rate <= 100_000 for rate in rates):
        raise BadInputError(f"--rates {text!r}: give requests per second, for example 50,100,200, or: auto")
    return rates
