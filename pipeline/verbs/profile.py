"""Measure latency and throughput of a published version in servers of this machine, or of a server that runs."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.context import ModelContext
from pipeline.errors import BadInputError, CouldNotTellError, FailedError
from pipeline.fleets.named_servers import NamedServers
from pipeline.inspection.known_models import require_released
from pipeline.inspection.published_version import approved_files, published_version
from pipeline.profiling.choice import Choice, Parameters, choose
from pipeline.profiling.embedded_server import COMMAND, Served, embedded_server
from pipeline.profiling.load import Sender, measure
from pipeline.profiling.measurement import Batching, Measurement, Point
from pipeline.profiling.plan import Plan
from pipeline.profiling.requests import Asked
from pipeline.profiling.sweep import Sweep
from serving.errors import DiscoveryError, ServingError, UnreachableError
from serving.tls import Tls

# A first answer may take longer than all later ones.
_FIRST_SECONDS = 30.0
_FIRST_WAIT_MICROS = 1000
_FIRST_QUEUE = 100

log = logging.getLogger(__name__)

Found = Callable[[Measurement], None]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What was measured.

    Attributes:
        model: the name of the model.
        version: the version that answered.
        where: which servers, for people.
        choice: what follows for batching on the server.
        out_of_time: whether points are missing because the time was up.
    """

    model: str
    version: int
    where: str
    choice: Choice
    measurements: Sequence[Measurement]
    out_of_time: bool


def profile_version(
    context: ModelContext,
    plan: Plan,
    *,
    version: str,
    images: Sequence[bytes],
    batching: Path | None,
    found: Found,
    command: Sequence[str] = COMMAND,
) -> Profile:
    """Measure a published version in two embedded servers on this machine: one batches, the other does not.

    Args:
        context: the model.
        plan: what to measure.
        version: `serving`, 4 or v4.
        images: see `pipeline.profiling.requests`.
        batching: the batching parameters file of the server that batches; None for usual values.
        found: called with each measurement.
        command: the program of a server.

    Raises:
        BadInputError: there is no such model or version, or the file cannot be read.
        DamagedError: a file of the version is not what was approved.
        FailedError: a server did not start, or does not answer these images.
    """
    history = context.journal.read()
    require_released(context, history)
    number = published_version(version, history)
    cpus = usable_cpus()
    parameters = _parameters(batching, plan, cpus)
    with approved_files(context, number, history) as folder, ExitStack() as servers:
        served = Served(model=context.model, version=number, folder=folder)
        texts = {Batching.OFF: None, Batching.ON: parameters}
        addresses = {
            each: servers.enter_context(embedded_server(served, batching=text, command=command))
            for each, text in texts.items()
        }
        asked = Asked(model=context.model, version=number, label=None, images=images)
        return asyncio.run(_profile(plan, asked, addresses, tls=None, cpus=cpus, found=found))


def profile_server(model: str, plan: Plan, server: NamedServers, *, images: Sequence[bytes], found: Found) -> Profile:
    """Measure one server that runs, as it is: whether it batches is not known here and cannot be switched.

    Raises:
        BadInputError: not exactly one server is named.
        CouldNotTellError: it gives no answer.
        FailedError: it does not answer these images.
    """
    try:
        addresses = server.fleet.addresses()
    except DiscoveryError as error:
        raise CouldNotTellError(str(error)) from error
    if len(addresses) != 1:
        raise BadInputError(f"--server names {len(addresses)} servers; name one, because one is measured")
    asked = Asked(model=model, version=server.version, label=server.label, images=images)
    running = {Batching.UNKNOWN: addresses[0]}
    return asyncio.run(_profile(plan, asked, running, tls=server.fleet.tls, cpus=None, found=found))


def usable_cpus() -> int:
    """The CPUs that this process and its children may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parameters(file: Path | None, plan: Plan, cpus: int) -> str:
    """What the batching server is started with; without a file it takes every request, and waits a millisecond."""
    if file is None:
        largest = max(*plan.batches, *plan.concurrencies)
        return Parameters(
            max_batch_size=largest,
            batch_timeout_micros=_FIRST_WAIT_MICROS,
            num_batch_threads=cpus,
            max_enqueued_batches=_FIRST_QUEUE,
        ).as_text()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"--batching-parameters {file} cannot be read: {error}") from error


async def _profile(
    plan: Plan, asked: Asked, servers: Mapping[Batching, str], *, tls: Tls | None, cpus: int | None, found: Found
) -> Profile:
    measurements: list[Measurement] = []

    def keep(measurement: Measurement) -> None:
        measurements.append(measurement)
        found(measurement)

    async with AsyncExitStack() as connections:
        senders = {
            each: await connections.enter_async_context(Sender(address, tls=tls, deadline=plan.deadline))
            for each, address in servers.items()
        }
        versions = [await _first_answer(sender, asked) for sender in senders.values()]
        requests = _Requests(asked)

        async def measured(point: Point) -> Measurement:
            ask = senders[point.batching].asking(requests.of(point.batch))
            return await measure(point, ask, warm_seconds=plan.warm_seconds, seconds=plan.seconds)

        sweep = Sweep(plan, list(senders), measured, found=keep)
        await sweep.run()
    return Profile(
        model=asked.model,
        version=versions[0],
        where=", ".join(servers.values()),
        choice=choose(measurements, latency_limit=plan.latency_limit, cpus=cpus),
        measurements=measurements,
        out_of_time=sweep.out_of_time,
    )


async def _first_answer(sender: Sender, asked: Asked) -> int:
    """The version that answers.

    Raises:
        CouldNotTellError: there is no answer.
        FailedError: the server refuses the request, or fails at it.
    """
    from serving.apis import predict_pb2  # noqa: PLC0415 - messages of gRPC, when something is asked

    try:
        answer = await sender.check(asked.requests(1)[0], seconds=_FIRST_SECONDS)
    except UnreachableError as error:
        raise CouldNotTellError(f"{error}. Check that a model server listens there") from error
    except ServingError as error:
        raise FailedError(f"{error}. {_hint(asked)}") from error
    return int(predict_pb2.PredictResponse.FromString(answer).model_spec.version.value)


def _hint(asked: Asked) -> str:
    if asked.label is None:
        return f"Check that the server has the model {asked.model!r}, and an image classifier in it"
    return (
        f"The request is for the label {asked.label!r} of the model {asked.model!r}. If the server has no labels, name "
        "a version with --version, or set UNDERSTUDY_ROLLOUT=latest"
    )


class _Requests:
    """The requests of the batch size that is measured now; those of other sizes take no memory."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._batch = 0
        self._requests: Sequence[bytes] = ()

    def of(self, batch: int) -> Sequence[bytes]:
        if batch != self._batch:
            self._batch, self._requests = batch, self._asked.requests(batch)
        return self._requests
