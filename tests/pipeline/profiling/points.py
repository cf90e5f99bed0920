"""Measurements for the tests, of servers that behave as a formula says."""

from collections.abc import Sequence

from pipeline.profiling.measurement import Batching, Loop, Measurement, Point


def closed(
    *,
    batch: int = 1,
    clients: int = 1,
    images_per_second: float = 100.0,
    p50: float | None = None,
    p99: float | None = None,
    batching: Batching = Batching.OFF,
    errors: int = 0,
) -> Measurement:
    """A point of the closed loop; its latencies follow from its throughput where they are not given."""
    seconds = clients * batch / images_per_second
    middle = seconds if p50 is None else p50
    high = middle * 1.5 if p99 is None else p99
    return Measurement(
        point=Point(batching=batching, loop=Loop.CLOSED, batch=batch, concurrency=clients),
        seconds=10.0,
        answered=round(images_per_second / batch * 10),
        p50=middle,
        p90=high,
        p99=high,
        p999=high,
        largest=high,
        errors={"UNAVAILABLE": errors} if errors else {},
    )


def opened(*, rate: float, p99: float, late: int = 0, batching: Batching = Batching.OFF) -> Measurement:
    """A point of the open loop, measured for ten seconds."""
    return Measurement(
        point=Point(batching=batching, loop=Loop.OPEN, batch=1, rate=rate),
        seconds=10.0,
        answered=round(rate * 10),
        p50=p99 / 2,
        p90=p99,
        p99=p99,
        p999=p99,
        largest=p99,
        late=late,
    )


def curve(by_batch: dict[int, float], *, clients: Sequence[int] = (1,)) -> list[Measurement]:
    """Points of a server without batching, by the images per second of each batch size."""
    return [
        closed(batch=batch, clients=number, images_per_second=rate)
        for batch, rate in by_batch.items()
        for number in clients
    ]
