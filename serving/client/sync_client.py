"""A client for threads."""

import random
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from serving.apis import prediction_service_pb2_grpc
from serving.client.attempts import Attempt, Attempts
from serving.client.background import BackgroundDiscovery
from serving.client.connections import Connections
from serving.client.discovery import Discovery
from serving.client.options import channel_options
from serving.client.picker import Picker
from serving.errors import ServingError, UnreachableError, translated
from serving.fleet.fleet import Fleet
from serving.messages import answer, predict_request
from serving.replica import STABLE, Answer
from serving.tls import Tls, open_channel
from serving.wire import Array


class Client:
    """Sends each request to the next replica of a fleet. Safe to use from several threads.

    Use it as a context manager, which closes its connections. Make it after `os.fork`, not before. A thread keeps the
    list of replicas up to date, from the first request on, or from when the context is entered.

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
        self._idle = threading.Event()
        self._connections = Connections(self._open, self._idle)
        self._discovery = BackgroundDiscovery(Discovery(fleet, self._picker, self._listed))

    def __enter__(self) -> Self:
        self._discovery.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None = None) -> Answer:
        """The outputs of the serving version, or of exactly this version, for a batch of inputs by name.

        If a replica cannot be reached, does not answer in a third of the time, or has not loaded the version, another
        one is asked, once.

        Raises:
            ServingError: two replicas could not answer, or one refused the request itself or failed on it.
            DiscoveryError: which replicas exist is not known.
            RuntimeError: the client is closed.
        """
        self._connections.check_open()
        request = predict_request(model, inputs, version=version, label=self._label)
        attempts = Attempts(self._picker, timeout=self._timeout)
        self._discovery.ready(seconds=attempts.part)
        attempt = attempts.first()
        while True:
            try:
                reply = self._ask(attempt, request)
            except ServingError as error:
                attempt = attempts.after(attempt, error)
            else:
                attempts.answered(attempt)
                return answer(reply, address=attempt.address)

    def close(self) -> None:
        """Close the connections, after the requests under way, which take no longer than the timeout."""
        unused = self._connections.close()
        self._idle.wait(self._timeout)
        _close(unused)
        self._discovery.stop()

    def _ask(self, attempt: Attempt, request: Any) -> Any:
        loan = self._connections.borrow(attempt.address)
        broken = False
        try:
            with translated(attempt.address):
                return loan.connection.predict(request, timeout=attempt.seconds)
        except UnreachableError:
            broken = True
            self._discovery.hurry()
            raise
        finally:
            _close(self._connections.give_back(loan, broken=broken))

    def _open(self, address: str) -> "_Connection":
        return _Connection(address, tls=self._tls, health_check=self._discovery.has_health_service(address))

    async def _listed(self, addresses: Sequence[str]) -> None:
        _close(self._connections.keep(addresses))


class _Connection:
    """A channel to one replica, and its method to call."""

    def __init__(self, address: str, *, tls: Tls | None, health_check: bool) -> None:
        self.channel: grpc.Channel = open_channel(address, tls=tls, options=channel_options(health_check=health_check))
        self.predict = prediction_service_pb2_grpc.PredictionServiceStub(self.channel).Predict


def _close(connections: Sequence[_Connection]) -> None:
    for each in connections:
        each.channel.close()
