"""Model servers in virtual time: a fleet that polls by TensorFlow Serving's rules, microseconds a poll.

Held to the real server by `test_simulated_contract.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import grpc

from pipeline import layout
from pipeline.storage.bucket import Bucket
from serving.apis import model_server_config_pb2
from serving.errors import NotServedError, translated
from serving.fleet.pod import PodReplica
from serving.replica import Answer, VersionStatus
from serving.status import NotFoundError, StatusError, UnavailableError
from serving.tls import Tls
from serving.wire import Array
from tests.protocol.clock import VirtualClock
from tests.protocol.loading import ModelFiles, ReadConfig, config_reader
from tests.protocol.process import Faults, Process, Timing
from tests.protocol.versions import NEVER

T = TypeVar("T")


class SimulatedReplica:
    """A place where a server runs: started again whenever its process gives up, until it is stopped.

    Attributes:
        faults: what versions do to its processes. `broken` and `deadly` are those of the faults.
        hanging: it takes every call and answers none; what it polls it goes on polling.
        files: the bucket as it sees it.
    """

    def __init__(
        self,
        address: str,
        *,
        model: str,
        bucket: Bucket,
        clock: VirtualClock,
        timing: Timing | None = None,
        read_config: ReadConfig | None = None,
        latest: bool = False,
        first_ring: bool = False,
    ) -> None:
        """Nothing runs yet.

        `latest`: it is started on the base path of the model instead of a config. `first_ring`: on that of the first
        ring.
        """
        self.due = NEVER
        self.address = address
        self.model = model
        self.clock = clock
        self.faults = Faults()
        self.broken, self.deadly = self.faults.broken, self.faults.deadly
        self.hanging = False
        self._timing = timing or Timing()
        self.files = ModelFiles(bucket, load_seconds=self._timing.load_seconds)
        versions = layout.first_ring_versions(model) if first_ring else layout.versions(model)
        key = layout.first_ring_config(model) if first_ring else layout.config(model)
        self._versions = versions
        self._base_path = bucket.uri(versions)
        self._latest = latest
        self._read_written = read_config or config_reader(bucket, key)
        self._asleep = False
        self._remembered: bytes | None = None
        self._process: Process | None = None
        clock.add(self)

    def start(self) -> None:
        self._process = Process(
            model=self.model,
            read_config=None if self._latest else self._read_config,
            base_path=self._base_path,
            files=self.files,
            faults=self.faults,
            timing=self._timing,
            clock=self.clock,
        )
        self.plan()

    def stop(self) -> None:
        self._process, self.due = None, NEVER

    def restart(self) -> None:
        """A new process: nothing is loaded, and nothing remembered."""
        self.stop()
        self.start()

    def sleep(self, *, seeing: bytes | None = None) -> None:
        """See the config, or the base path, as it is now, whatever is written from here on; keep answering.

        `seeing` is another config to see, such as an older one.
        """
        if self._latest:
            self.files.freeze(self._versions)
            return
        self._remembered = seeing or self._read_written()
        self._asleep = True

    def wake(self) -> None:
        """See what is written."""
        self.files.thaw()
        self._asleep = False

    @property
    def process(self) -> Process | None:
        """The process that answers; None while there is none that does."""
        return self._process if self._process is not None and self._process.open else None

    @property
    def in_memory(self) -> tuple[int, ...]:
        """The versions that it has loaded or is loading, also while it gives no answer."""
        return self._process.in_memory if self._process is not None and not self._process.over else ()

    @property
    def gives_no_answer(self) -> bool:
        """Whether it takes calls and answers none. A process that hangs before it opens its port takes none."""
        return self.hanging or (self.process is not None and self.process.hanging)

    def act(self) -> None:
        if self._process is None or self._process.over:
            self.start()
            return
        self._process.act()
        self.plan()

    def plan(self) -> None:
        """Say again what is due first; needed after a config was handed in."""
        assert self._process is not None
        over = self._process.over
        self.due = self.clock.monotonic() + self._timing.restart_seconds if over else self._process.due

    def _read_config(self) -> bytes | None:
        return self._remembered if self._asleep else self._read_written()


class SimulatedFleet:
    """See `serving.fleet.Fleet`. Replicas may come and go; whoever is connected to one that went gets no answer."""

    def __init__(self, replicas: Iterable[SimulatedReplica], *, clock: VirtualClock, expected: int) -> None:
        self.expected = expected
        self.tls: Tls | None = None
        self.first_ring: SimulatedFleet | None = None
        self._clock = clock
        self.replicas = {replica.address: replica for replica in replicas}

    def addresses(self) -> Sequence[str]:
        return tuple(self.replicas)

    def fresh_addresses(self) -> Sequence[str]:
        return self.addresses()

    def pods(self) -> Mapping[str, PodReplica]:
        return {}

    def shortfall(self, addresses: Sequence[str]) -> str:
        return (
            "" if len(addresses) >= self.expected else f"only {len(addresses)} of {self.expected} replicas are listed"
        )

    def connect(self, address: str, *, timeout: float) -> "Connection":
        return Connection(address, self, self._clock, timeout)


class Connection:
    """See `serving.replica.Replica`. A refused connection takes no time, a replica that hangs all that was agreed."""

    def __init__(self, address: str, fleet: SimulatedFleet, clock: VirtualClock, timeout: float) -> None:
        self.address = address
        self._fleet = fleet
        self._clock = clock
        self._timeout = timeout
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True

    def status(self, model: str, version: int) -> VersionStatus | None:
        try:
            return self._ask(model, lambda process: process.status(version))
        except NotServedError:
            return None

    def statuses(self, model: str) -> list[VersionStatus]:
        try:
            return self._ask(model, Process.statuses)
        except NotServedError:
            return []

    def version_behind(self, model: str, label: str | None) -> int | None:
        try:
            return self._ask(model, lambda process: process.version_behind(label))
        except NotServedError:
            return None

    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
    ) -> Answer:
        def ask(process: Process) -> Answer:
            try:
                return process.predict(inputs, version=version, label=label, address=self.address)
            finally:
                if process.over:
                    self._fleet.replicas[self.address].plan()

        return self._ask(model, ask)

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Waits as long as agreed for a model of a new name; the config is applied all the same."""

        def submit(process: Process) -> None:
            replica = self._fleet.replicas[self.address]
            reload = process.submit(config)
            replica.plan()
            if not self._clock.wait(lambda: reload.done or replica.process is not process, self._timeout):
                raise StatusError("Deadline Exceeded", grpc.StatusCode.DEADLINE_EXCEEDED)
            if not reload.done:
                raise UnavailableError("Socket closed")
            if reload.error is not None:
                raise reload.error

        self._ask(None, submit)

    def _ask(self, model: str | None, question: Callable[[Process], T]) -> T:
        if self._closed:
            raise ValueError("Cannot invoke RPC on closed channel!")
        with translated(self.address):
            try:
                return question(self._process(model))
            except StatusError as error:
                raise _Status(error) from error

    def _process(self, model: str | None) -> Process:
        replica = self._fleet.replicas.get(self.address)
        if replica is not None and replica.gives_no_answer:
            self._clock.sleep(self._timeout)
            raise StatusError("Deadline Exceeded", grpc.StatusCode.DEADLINE_EXCEEDED)
        if replica is None or replica.process is None:
            raise UnavailableError("failed to connect to all addresses; last error: UNKNOWN: Connection refused")
        if model not in (None, replica.model):
            raise NotFoundError(f"Servable not found for request: Latest({model})")
        return replica.process


class _Status(grpc.RpcError):
    """A status as it comes out of a gRPC stub, so that the errors are told apart where the real ones are."""

    def __init__(self, error: StatusError) -> None:
        super().__init__(str(error))
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code

    def details(self) -> str:
        return self._error.message
