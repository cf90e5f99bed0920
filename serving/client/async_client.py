"""A client for asyncio."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc.aio

from serving.apis import prediction_service_pb2_grpc
from serving.client.attempts import Attempt, Attempts
from serving.client.connections import Connections
from serving.client.discovery import Discovery
from serving.client.options import channel_options
from serving.client.picker import Picker
from serving.errors import ServingError, UnreachableError, translated
from serving.fleet.fleet import Fleet
from serving.messages import answer, predict_request
from serving.replica import STABLE, Answer
from serving.tls import Tls, open_aio_channel
from serving.wire import Array


class AsyncClient:
    """Sends each request to the next replica of a fleet; see `Client`, which does the same for threads.

    Use it as an asynchronous context manager, in one event loop. A task keeps the list of replicas up to date.

    Args:
        fleet: the replicas to ask.
        label: the label of the serving version; None if servers have no labels, and answer from the newest version.
        timeout: of one request, in seconds. Each of its two attempts gets a third.
    """

    def __init__(self, fleet: Fleet, *, label: str | None = STABLE, timeout: float = 5.0) -> None:
        self._tls = fleet.tls
        self._label = label
        self._timeout = timeout
        self._picker = Picker(first=random.randrange(1000))  # noqa: S311 - to spread clients
        self._idle = asyncio.Event()
        self._connections = Connections(self._open, self._idle)
        self._discovery = Discovery(fleet, self._picker, self._listed)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None = None) -> Answer:
        """The outputs of the serving version, or of exactly this version, for a batch of inputs by name.

        See `Client.predict` for what is asked again, and for the errors.
        """
        self._connections.check_open()
        request = predict_request(model, inputs, version=version, label=self._label)
        attempts = Attempts(self._picker, timeout=self._timeout)
        self._start()
        with suppress(TimeoutError):
            async with asyncio.timeout(attempts.part):
                await self._discovery.ready()
        attempt = attempts.first()
        while True:
            try:
                reply = await self._ask(attempt, request)
            except ServingError as error:
                attempt = attempts.after(attempt, error)
            else:
                attempts.answered(attempt)
                return answer(reply, address=attempt.address)

    async def close(self) -> None:
        """Close the connections, after the requests under way, which take no longer than the timeout."""
        unused = self._connections.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._idle.wait()
        await _close(unused)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._discovery.run(), name="discovery of replicas")

    async def _ask(self, attempt: Attempt, request: Any) -> Any:
        loan = self._connections.borrow(attempt.address)
        broken = False
        try:
            with translated(attempt.address):
                return await loan.connection.predict(request, timeout=attempt.seconds)
        except UnreachableError:
            broken = True
            self._discovery.hurry()
            raise
        finally:
            await _close(self._connections.give_back(loan, broken=broken))

    def _open(self, address: str) -> "_Connection":
        return _Connection(address, tls=self._tls, health_check=self._discovery.has_health_service(address))

    async def _listed(self, addresses: Sequence[str]) -> None:
        await _close(self._connections.keep(addresses))


class _Connection:
    """A channel to one replica, and its method to call."""

    def __init__(self, address: str, *, tls: Tls | None, health_check: bool) -> None:
        self.channel: grpc.aio.Channel = open_aio_channel(
            address, tls=tls, options=channel_options(health_check=health_check)
        )
        self.predict = prediction_service_pb2_grpc.PredictionServiceStub(self.channel).Predict


async def _close(connections: Sequence[_Connection]) -> None:
    for each in connections:
        await each.channel.close(grace=None)
