"""Which batching parameters follow from what was measured, and why. Pure.

The parameters are those of `tensorflow_model_server --batching_parameters_file`. Their documentation, "TensorFlow
Serving Batching Guide", says what to look at; the rules here put numbers to it:

- A batch may grow for as long as that brings more images per second: the smallest size that reaches 95 % of the best.
- A batch waits for more requests only where a thread is idle, so each wait is added to the latency of a quiet server. A
  tenth of the time of the smallest request is allowed, and at most 2 ms.
- As many threads as there were clients when these batches reached 95 % of the best, and no more than there are CPUs.
- The queue holds what the threads work off within the limit of latency. What is longer is refused at once, which a
  client can act on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.profiling.measurement import Batching, Loop, Measurement

# Of the best throughput. A size that brings less than the rest is not worth its latency.
_NEARLY_ALL = 0.95
# Server-side batching has to bring at least a tenth more to be worth a longer path.
_WORTH = 1.1
_WAIT_SHARE = 0.1
_MOST_WAIT_MICROS = 2000
_MOST_BATCHES_QUEUED = 1000


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """BatchingParameters of a model server.

    Attributes:
        max_batch_size: images in a batch, and in a request that is not refused.
        max_execution_batch_size: images that are run together; larger requests are split. None: as many as above.
    """

    max_batch_size: int
    batch_timeout_micros: int
    num_batch_threads: int
    max_enqueued_batches: int
    max_execution_batch_size: int | None = None

    def as_text(self) -> str:
        """The file for `--batching_parameters_file`."""
        values = {
            "max_batch_size": self.max_batch_size,
            "batch_timeout_micros": self.batch_timeout_micros,
            "num_batch_threads": self.num_batch_threads,
            "max_enqueued_batches": self.max_enqueued_batches,
        }
        lines = [f"{name} {{ value: {value} }}" for name, value in values.items()]
        if self.max_execution_batch_size is not None:
            lines.append("enable_large_batch_splitting { value: true }")
            lines.append(f"max_execution_batch_size {{ value: {self.max_execution_batch_size} }}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Choice:
    """Whether to batch on the server, with which parameters, and the reasons with their numbers.

    Attributes:
        batch: None if the measurements do not say.
        parameters: for where it is switched on; None if the measurements are too few.
    """

    batch: bool | None
    parameters: Parameters | None
    reasons: tuple[str, ...]


def choose(measurements: Sequence[Measurement], *, latency_limit: float, cpus: int | None) -> Choice:
    """The choice that follows from the closed loops of a sweep.

    Args:
        measurements: of one server, or of one with and one without batching.
        latency_limit: seconds that p99 may have.
        cpus: that the server may use; None if that is not known.
    """
    usable = [
        each
        for each in measurements
        if each.point.loop is Loop.CLOSED and each.answered and not each.is_beyond(latency_limit)
    ]
    # A server that batches hides what one batch costs.
    plain = [each for each in usable if each.point.batching is not Batching.ON] or usable
    if not plain:
        return Choice(None, None, (f"no point of the closed loop had a p99 within {latency_limit * 1000:g} ms",))
    gain, why = _gain(usable)
    if len({each.point.batch for each in plain}) < 2:
        return Choice(gain, None, (*why, "only one batch size was measured, and parameters follow from several"))
    parameters, reasons = _parameters(plain, latency_limit=latency_limit, cpus=cpus)
    return Choice(gain, parameters, (*why, *reasons))


def _gain(usable: Sequence[Measurement]) -> tuple[bool | None, list[str]]:
    """Whether batching brought more, where clients send the smallest requests."""
    smallest = min(each.point.batch for each in usable)
    best = {
        batching: max(found, key=lambda each: each.images_per_second)
        for batching in (Batching.OFF, Batching.ON)
        if (found := [each for each in usable if each.point.batching is batching and each.point.batch == smallest])
    }
    if len(best) < 2:
        return None, ["server-side batching on and off were not compared: only one of them was measured"]
    on, off = best[Batching.ON], best[Batching.OFF]
    factor = on.images_per_second / off.images_per_second
    numbers = (
        f"requests of {_images(smallest)} reached {on.images_per_second:.0f} images/s with batching "
        f"({on.point.concurrency} clients, p99 {_ms(on.p99)}) and {off.images_per_second:.0f} without "
        f"({off.point.concurrency} clients, p99 {_ms(off.p99)}): {factor:.2f} times"
    )
    if factor >= _WORTH:
        return True, [f"switch batching on: {numbers}"]
    return False, [f"leave batching off: {numbers}, and less than {_WORTH:g} times is not worth a queue"]


def _parameters(
    plain: Sequence[Measurement], *, latency_limit: float, cpus: int | None
) -> tuple[Parameters, list[str]]:
    size, size_reason = _batch_size(plain)
    threads, threads_reason = _threads(plain, size, cpus)
    wait, wait_reason = _wait(plain)
    queue, queue_reason = _queue(plain, size, threads=threads, latency_limit=latency_limit)
    largest = max(each.point.batch for each in plain)
    parameters = Parameters(
        max_batch_size=largest,
        max_execution_batch_size=size if size < largest else None,
        batch_timeout_micros=wait,
        num_batch_threads=threads,
        max_enqueued_batches=queue,
    )
    if size < largest:
        size_reason += f". A larger request, of up to {largest}, is split, not refused"
    return parameters, [size_reason, wait_reason, threads_reason, queue_reason]


def _batch_size(plain: Sequence[Measurement]) -> tuple[int, str]:
    best = _best_by(plain, lambda each: each.point.batch)
    top = max(best.values())
    size = min(batch for batch, rate in best.items() if rate >= _NEARLY_ALL * top)
    smallest = min(best)
    reason = (
        f"at most {_images(size)} are run together: {best[size]:.0f} images/s, {best[size] / top:.0%} of the best, and "
        f"{best[size] / best[smallest]:.2f} times the {best[smallest]:.0f} of {_images(smallest)}"
    )
    return size, reason


def _threads(plain: Sequence[Measurement], size: int, cpus: int | None) -> tuple[int, str]:
    best = _best_by([each for each in plain if each.point.batch == size], lambda each: each.point.concurrency)
    top = max(best.values())
    clients = min(number for number, rate in best.items() if rate >= _NEARLY_ALL * top)
    threads = clients if cpus is None else min(clients, cpus)
    where = "and how many CPUs the server has is not known here" if cpus is None else f"on {cpus} CPUs"
    return threads, (
        f"num_batch_threads {threads}: batches of {size} reached {best[clients]:.0f} images/s with {clients} at once, "
        f"{best[clients] / top:.0%} of their best, {where}"
    )


def _wait(plain: Sequence[Measurement]) -> tuple[int, str]:
    alone = min(plain, key=lambda each: (each.point.batch, each.point.concurrency))
    micros = min(round(alone.p50 * _WAIT_SHARE * 1e6 / 100) * 100, _MOST_WAIT_MICROS)
    return micros, (
        f"batch_timeout_micros {micros}: a request of {_images(alone.point.batch)} takes {_ms(alone.p50)} "
        f"({alone.point.concurrency} at once). A tenth of that may be spent on waiting, at most {_MOST_WAIT_MICROS}"
    )


def _queue(plain: Sequence[Measurement], size: int, *, threads: int, latency_limit: float) -> tuple[int, str]:
    alone = min((each for each in plain if each.point.batch == size), key=lambda each: each.point.concurrency)
    # With more clients than threads, a batch has waited for others already.
    clients = alone.point.concurrency
    seconds = alone.p50 * min(threads, clients) / clients
    batches = max(1, min(math.floor(latency_limit / seconds * threads), _MOST_BATCHES_QUEUED))
    return batches, (
        f"max_enqueued_batches {batches}: one of {size} takes {_ms(seconds)}, so {threads} at once work off that many "
        f"in {_ms(batches * seconds / threads)}; the limit of latency is {_ms(latency_limit)}"
    )


def _best_by(found: Sequence[Measurement], key: Callable[[Measurement], int]) -> dict[int, float]:
    """The most images in a second, by what `key` says of a measurement."""
    best: dict[int, float] = {}
    for each in found:
        best[key(each)] = max(best.get(key(each), 0.0), each.images_per_second)
    return best


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms"
