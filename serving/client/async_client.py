"""A client for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc.aio

from serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from serving.client.attempts import Attempt
from serving.client.calls import Call, Default, Result
from serving.client.classified import Classified, classified
from serving.client.connections import Connections
from serving.client.deadline import Deadline
from serving.client.discovery import Discovery
from serving.client.images import Images, batch_of, has_arrays
from serving.client.options import channel_options
from serving.client.picker import ReplicaState
from serving.client.traffic import Traffic
from serving.errors import DiscoveryError, ServingError, translated
from serving.fleet.fleet import Fleet
from serving.messages import Metadata
from serving.replica import STABLE, Answer
from serving.signature import NAME
from serving.tls import Tls, open_aio_channel
from serving.wire import Array


class AsyncClient:
    """Sends each request to the next replica of a fleet; see `Client`, which does the same for threads.

    Use it as an asynchronous context manager, in one event loop. A task keeps the list of replicas up to date.

        import asyncio
        from pathlib import Path

        from serving.client import AsyncClient
        from serving.fleet.fleet import parse_fleet

        async def main() -> None:
            image = Path("image.png").read_bytes()
            async with AsyncClient(parse_fleet("digits-1:8500,digits-2:8500")) as client:
                found = await client.classify("digits", [image, image])
            print(f"version {found.version} on {found.address} says {found.labels}")

        asyncio.run(main())

    The arguments and the errors are those of `Client`.
    """

    def __init__(self, fleet: Fleet, *, label: str | None = STABLE, timeout: float = 5.0) -> None:
        self._tls = fleet.tls
        self._traffic = Traffic(label=label, timeout=timeout)
        self._asking_names = asyncio.Lock()
        self._idle = asyncio.Event()
        self._connections = Connections(self._open, self._idle)
        self._discovery = Discovery(fleet, self._traffic.picker, self._listed)
        self._task: asyncio.Task[None] | None = None
        # How many second attempts there have been, for metrics.
        self.retries = 0

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Array],
        *,
        version: int | None = None,
        label: str | Default | None = Default.LABEL,
        signature: str = NAME,
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Answer:
        """The outputs of a batch of inputs by name; see `Client.predict`."""
        call = self._traffic.prediction(
            model, inputs, version=version, label=label, signature=signature, outputs=outputs
        )
        return await self._send(call, timeout)

    async def classify(
        self,
        model: str,
        images: Images,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> Classified:
        """The labels and probabilities of one or more images; see `Client.classify`. Threads encode arrays."""
        batch = await asyncio.to_thread(batch_of, images) if has_arrays(images) else batch_of(images)
        deadline = self._traffic.deadline(timeout)
        answer = await self.predict(model, batch.inputs, version=version, signature=batch.signature, timeout=timeout)
        return classified(answer, await self._names_by(deadline, model, answer.version))

    async def class_names(
        self,
        model: str,
        version: int,
        *,
        timeout: float | None = None,
    ) -> tuple[str, ...] | None:
        """The labels of all classes, in the order of the probabilities; see `Client.class_names`."""
        self._connections.check_open()
        return await self._names_by(self._traffic.deadline(timeout), model, version)

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | Default | None = Default.LABEL,
        timeout: float | None = None,
    ) -> Metadata:
        """The signatures of the serving version, of exactly this version, or of the one behind a label."""
        return await self._send(self._traffic.description(model, version=version, label=label), timeout)

    async def status(self, model: str, *, version: int | None = None, timeout: float | None = None) -> Any:
        """What one replica says of the states of a version, or of all; see `Client.status`."""
        return await self._send(self._traffic.status(model, version=version), timeout)

    def replicas(self) -> Sequence[ReplicaState]:
        """What the client knows of each replica that is listed; none before the first list."""
        return self._traffic.picker.states()

    async def close(self) -> None:
        """Close the connections, after the requests under way, for which it waits no longer than the timeout."""
        unused = self._connections.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._traffic.timeout):
                await self._idle.wait()
        await _close(unused)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _names_by(self, deadline: Deadline, model: str, version: int) -> tuple[str, ...] | None:
        names = self._traffic.names
        if names.due(model, version):
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline.left()):
                    await self._learn_names(deadline, model, version)
        return names.get(model, version)

    async def _learn_names(self, deadline: Deadline, model: str, version: int) -> None:
        names = self._traffic.names
        # One request asks, and the others that need the names wait for it.
        async with self._asking_names:
            if not names.due(model, version):
                return
            try:
                names.store(model, version, await self._send(self._traffic.names_of(model, version), deadline.left()))
            except (ServingError, DiscoveryError) as error:
                names.failed(model, version, error)

    async def _send(self, call: Call[Result], timeout: float | None) -> Result:
        self._connections.check_open()
        attempts = self._traffic.attempts(timeout)
        self._start()
        with suppress(TimeoutError):
            async with asyncio.timeout(attempts.part):
                await self._discovery.ready()
        attempt = attempts.first()
        while True:
            try:
                result = await self._ask(attempt, call)
            except ServingError as error:
                attempt = attempts.after(attempt, error)
                self.retries += 1
            else:
                attempts.answered(attempt)
                return result

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._discovery.run(), name="discovery of replicas")

    async def _ask(self, attempt: Attempt, call: Call[Result]) -> Result:
        loan = self._connections.borrow(attempt.address)
        broken = False
        try:
            with translated(attempt.address):
                reply = await loan.connection.methods[call.method](call.message, timeout=attempt.seconds)
            return call.read(reply, attempt.address)
        except ServingError as error:
            broken = attempt.shows_failure(error)
            if broken:
                self._discovery.hurry()
            raise
        finally:
            await _close(self._connections.give_back(loan, broken=broken))

    def _open(self, address: str) -> "_Connection":
        return _Connection(address, tls=self._tls, health_check=self._discovery.has_health_service(address))

    async def _listed(self, addresses: Sequence[str]) -> None:
        await _close(self._connections.keep(addresses))


class _Connection:
    """A channel to one replica, and its methods by their names."""

    def __init__(self, address: str, *, tls: Tls | None, health_check: bool) -> None:
        self.channel: grpc.aio.Channel = open_aio_channel(
            address, tls=tls, options=channel_options(health_check=health_check)
        )
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        about = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.methods = {
            "Predict": stub.Predict,
            "GetModelMetadata": stub.GetModelMetadata,
            "GetModelStatus": about.GetModelStatus,
        }


async def _close(connections: Sequence[_Connection]) -> None:
    for each in connections:
        await each.channel.close(grace=None)
