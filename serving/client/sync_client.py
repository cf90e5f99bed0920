"""A client for threads."""

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from serving.client.attempts import Attempt
from serving.client.background import BackgroundDiscovery
from serving.client.calls import Call, Default, Result
from serving.client.classified import Classified, classified
from serving.client.connections import Connections
from serving.client.deadline import Deadline
from serving.client.discovery import Discovery
from serving.client.images import Images, batch_of
from serving.client.options import channel_options
from serving.client.picker import ReplicaState
from serving.client.traffic import Traffic
from serving.errors import DiscoveryError, ServingError, translated
from serving.fleet.fleet import Fleet
from serving.messages import Metadata
from serving.replica import STABLE, Answer
from serving.signature import NAME
from serving.tls import Tls, open_channel
from serving.wire import Array


class Client:
    """Sends each request to the next replica of a fleet. Safe to use from several threads.

    Use it as a context manager, which closes its connections. Make it after `os.fork`, not before. A thread keeps the
    list of replicas up to date, from the first request on, or from when the context is entered.

        from pathlib import Path

        from serving.client import Client
        from serving.fleet.fleet import parse_fleet

        with Client(parse_fleet("digits-1:8500,digits-2:8500")) as client:
            found = client.classify("digits", Path("image.png").read_bytes())
        for label, probability in found.top(3)[0]:
            print(f"{label}: {probability:.0%}, says version {found.version} on {found.address}")

    All methods that send a request raise

    - ServingError: two replicas could not answer, or one refused the request itself or failed on it. One kind is
      CircuitOpenError: nearly all requests of the last seconds failed, so this one was not sent.
    - DiscoveryError: which replicas exist is not known.
    - RuntimeError: the client is closed.
    - ValueError: the timeout is not above 0.

    If a replica cannot be reached, does not answer in half of the time, has no room for the request, or has not loaded
    the version, another one is asked, once. If no other one works, a replica has all of the time.

    Args:
        fleet: the replicas to ask.
        label: the label of the serving version; None if servers have no labels, and answer from the newest version.
        timeout: of one request, in seconds, if it is given no other.
    """

    def __init__(self, fleet: Fleet, *, label: str | None = STABLE, timeout: float = 5.0) -> None:
        self._tls = fleet.tls
        self._traffic = Traffic(label=label, timeout=timeout)
        self._asking_names = threading.Lock()
        self._idle = threading.Event()
        self._connections = Connections(self._open, self._idle)
        self._discovery = BackgroundDiscovery(Discovery(fleet, self._traffic.picker, self._listed))

    def __enter__(self) -> Self:
        self._discovery.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def predict(
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
        """The outputs of a batch of inputs by name.

        Args:
            model: its name.
            inputs: by name; an array of strings is one of objects that are bytes.
            version: exactly this one, instead of the one with the label.
            label: another one than that of the client; None for the newest version that a replica has.
            signature: which of the model's signatures.
            outputs: only these. Servers that batch do not run such requests together with those for all outputs.
            timeout: of this request, in seconds.
        """
        call = self._traffic.prediction(
            model, inputs, version=version, label=label, signature=signature, outputs=outputs
        )
        return self._send(call, timeout)

    def classify(
        self, model: str, images: Images, *, version: int | None = None, timeout: float | None = None
    ) -> Classified:
        """The labels and probabilities of one or more images, by a classifier of Understudy.

        An image is the bytes of a PNG or JPEG file, or a uint8 array of shape (height, width), (height, width, 1) or
        (height, width, 3), or an array of floats in [0, 1] of the shape that the network takes.

        Raises:
            ValueError: something is no image, there is none, or they do not go together.
        """
        batch = batch_of(images)
        deadline = self._traffic.deadline(timeout)
        answer = self.predict(model, batch.inputs, version=version, signature=batch.signature, timeout=timeout)
        return classified(answer, self._names_by(deadline, model, answer.version))

    def class_names(self, model: str, version: int, *, timeout: float | None = None) -> tuple[str, ...] | None:
        """The labels of all classes, in the order of the probabilities. A version is asked once.

        Returns:
            The names; None if the version was exported without them, or if no replica gave them. Then replicas are
            asked again after 10 s at the earliest.
        """
        self._connections.check_open()
        return self._names_by(self._traffic.deadline(timeout), model, version)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | Default | None = Default.LABEL,
        timeout: float | None = None,
    ) -> Metadata:
        """The signatures of the serving version, of exactly this version, or of the one behind a label."""
        return self._send(self._traffic.description(model, version=version, label=label), timeout)

    def status(self, model: str, *, version: int | None = None, timeout: float | None = None) -> Any:
        """What one replica says of the states of a version, or of all: a GetModelStatusResponse.

        Replicas may differ. Who needs to know of each asks each: see `serving.grpc_replica`.
        """
        return self._send(self._traffic.status(model, version=version), timeout)

    def replicas(self) -> Sequence[ReplicaState]:
        """What the client knows of each replica that is listed; none before the first list."""
        return self._traffic.picker.states()

    def close(self) -> None:
        """Close the connections, after the requests under way, for which it waits no longer than the timeout."""
        unused = self._connections.close()
        self._idle.wait(self._traffic.timeout)
        _close(unused)
        self._discovery.stop()

    def _names_by(self, deadline: Deadline, model: str, version: int) -> tuple[str, ...] | None:
        names = self._traffic.names
        # One request asks, and the others that need the names wait for it.
        if names.due(model, version) and self._asking_names.acquire(timeout=max(0.0, deadline.left())):
            try:
                if names.due(model, version) and deadline.left() > 0:
                    names.store(model, version, self._send(self._traffic.names_of(model, version), deadline.left()))
            except (ServingError, DiscoveryError) as error:
                names.failed(model, version, error)
            finally:
                self._asking_names.release()
        return names.get(model, version)

    def _send(self, call: Call[Result], timeout: float | None) -> Result:
        self._connections.check_open()
        attempts = self._traffic.attempts(timeout)
        self._discovery.ready(seconds=attempts.part)
        attempt = attempts.first()
        while True:
            try:
                result = self._ask(attempt, call)
            except ServingError as error:
                attempt = attempts.after(attempt, error)
            else:
                attempts.answered(attempt)
                return result

    def _ask(self, attempt: Attempt, call: Call[Result]) -> Result:
        loan = self._connections.borrow(attempt.address)
        broken = False
        try:
            with translated(attempt.address):
                reply = loan.connection.methods[call.method](call.message, timeout=attempt.seconds)
            return call.read(reply, attempt.address)
        except ServingError as error:
            broken = attempt.shows_failure(error)
            if broken:
                self._discovery.hurry()
            raise
        finally:
            _close(self._connections.give_back(loan, broken=broken))

    def _open(self, address: str) -> "_Connection":
        return _Connection(address, tls=self._tls, health_check=self._discovery.has_health_service(address))

    async def _listed(self, addresses: Sequence[str]) -> None:
        _close(self._connections.keep(addresses))


class _Connection:
    """A channel to one replica, and its methods by their names."""

    def __init__(self, address: str, *, tls: Tls | None, health_check: bool) -> None:
        self.channel: grpc.Channel = open_channel(address, tls=tls, options=channel_options(health_check=health_check))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        about = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.methods = {
            "Predict": stub.Predict,
            "GetModelMetadata": stub.GetModelMetadata,
            "GetModelStatus": about.GetModelStatus,
        }


def _close(connections: Sequence[_Connection]) -> None:
    for each in connections:
        each.channel.close()
