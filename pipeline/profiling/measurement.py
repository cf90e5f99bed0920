"""One point that is measured, and what was measured there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.profiling.latencies import Latencies

# A request that is sent this much after it was due says more about this program than about the server.
LATE_SECONDS = 0.005
# The generator kept up if no more than this part of the requests was late.
_LATE_SHARE = 0.01
# The kind of an error whose time counts: users wait so long at least. A refusal takes less time than an answer.
TIMED_OUT = "DEADLINE_EXCEEDED"


class Loop(StrEnum):
    """When a request is sent.

    In a closed loop each client sends its next request when the last one is answered, so a slow server gets fewer
    requests. In an open loop requests are due at fixed times, as users send them, whatever the server does.
    """

    CLOSED = "closed"
    OPEN = "open"


class Batching(StrEnum):
    """Whether the server puts the requests of several clients together."""

    OFF = "off"
    ON = "on"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Point:
    """What is measured.

    Attributes:
        batching: of the server.
        loop: see `Loop`.
        batch: images in a request.
        concurrency: clients of a closed loop; 0 in an open one.
        rate: requests in a second that are due in an open loop; 0 in a closed one.
    """

    batching: Batching
    loop: Loop
    batch: int
    concurrency: int = 0
    rate: float = 0.0

    def __str__(self) -> str:
        load = f"{self.concurrency} clients" if self.loop is Loop.CLOSED else f"{self.rate:.0f} requests/s"
        return f"batching {self.batching}, batches of {self.batch}, {load}"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured at a point. Times are seconds.

    Attributes:
        point: where.
        seconds: how long requests were counted.
        answered: requests that were answered. In an open loop a request counts where it was due.
        p50: of the latency of these and of the requests that timed out, and so are p90, p99, p999 (99.9 %) and the
            maximum; NaN if there is none. In an open loop the latency counts from when a request was due.
        errors: requests that were not answered, by their kind, such as `DEADLINE_EXCEEDED`.
        late: requests of an open loop that were sent more than `LATE_SECONDS` after they were due.
    """

    point: Point
    seconds: float
    answered: int
    p50: float
    p90: float
    p99: float
    p999: float
    largest: float
    errors: Mapping[str, int] = field(default_factory=dict)
    late: int = 0

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def requests_per_second(self) -> float:
        """Answered requests in a second."""
        return self.answered / self.seconds

    @property
    def images_per_second(self) -> float:
        return self.requests_per_second * self.point.batch

    @property
    def generator_kept_up(self) -> bool:
        """Whether requests were sent when they were due. If not, the latencies contain a delay of this program."""
        return self.late <= (self.answered + self.failed) * _LATE_SHARE

    def is_beyond(self, latency_limit: float) -> bool:
        """Whether the server is too slow here, or has failed at more than one request of a hundred."""
        return not self.p99 <= latency_limit or self.failed * 100 > self.answered

    def as_json(self) -> dict[str, Any]:
        """One flat object, with every value that the table shows; None instead of NaN."""
        values = asdict(self.point) | {
            "seconds": self.seconds,
            "answered": self.answered,
            "requests_per_second": self.requests_per_second,
            "images_per_second": self.images_per_second,
            **{name: getattr(self, name) for name in PERCENTILES},
            "errors": dict(self.errors),
            "late": self.late,
            "generator_kept_up": self.generator_kept_up,
        }
        # No JSON value stands for NaN, which alone differs from itself.
        return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124


# The fields with a latency, and what people call them.
PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "largest": "max"}


def measured(
    point: Point, latencies: Latencies, *, seconds: float, errors: Mapping[str, int], late: int = 0
) -> Measurement:
    """The measurement of a point from its histogram.

    Args:
        point: where.
        latencies: of the requests that were answered, and of those that timed out.
        seconds: how long requests were counted.
        errors: requests that were not answered, by their kind.
        late: requests that were sent too late.
    """
    return Measurement(
        point=point,
        seconds=seconds,
        answered=latencies.count - errors.get(TIMED_OUT, 0),
        p50=latencies.percentile(50),
        p90=latencies.percentile(90),
        p99=latencies.percentile(99),
        p999=latencies.percentile(99.9),
        largest=latencies.percentile(100),
        errors=dict(errors),
        late=late,
    )
