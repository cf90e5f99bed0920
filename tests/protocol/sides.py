"""The simulated server and the real one behind one set of levers, so that a scenario can be played on both."""

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.release.healing import heal_if_stuck
from pipeline.storage.bucket import Bucket
from pipeline.storage.local import LocalBucket
from pipeline.storage.memory import MemoryBucket
from serving.apis import model_server_config_pb2
from serving.canary import INPUT
from serving.errors import UnreachableError
from serving.grpc_replica import GrpcReplica
from serving.model_server.status import StatusError
from serving.replica import STABLE, Answer, Replica, VersionStatus
from tests.fleet import POLL_SECONDS, RunningReplica, write_classifier
from tests.protocol.clock import VirtualClock
from tests.protocol.process import Timing
from tests.protocol.simulated import SimulatedFleet, SimulatedReplica

MODEL = "digits"
# Long enough for what happens to have happened, where a scenario waits for nothing to happen.
_SEVERAL_POLLS = 8 * POLL_SECONDS


class Side(ABC):
    """One replica over a bucket. Every question is asked over a connection of its own, as none lasts here."""

    bucket: Bucket

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models = itertools.count()

    @abstractmethod
    def start(self) -> None:
        """Start a process and do not wait for it to answer."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def sleep(self) -> None: ...

    @abstractmethod
    def wake(self) -> None: ...

    @abstractmethod
    def break_version(self, version: int | None) -> None:
        """No other version is broken from now on."""

    @abstractmethod
    def connect(self) -> Replica: ...

    @abstractmethod
    def eventually(self, check: Callable[[], bool]) -> bool: ...

    @abstractmethod
    def let_polls_pass(self) -> None: ...

    def add(self, version: int, **classifier: float) -> None:
        source = self._folder / f"model-{next(self._models)}"
        write_classifier(source, **classifier)
        self.bucket.upload(source, layout.version(MODEL, version))

    def config(self, versions: Collection[int], stable: int | None = None) -> model_server_config_pb2.ModelServerConfig:
        """Names the versions in a `specific` policy; without any it is the empty list."""
        config = model_server_config_pb2.ModelServerConfig(model_config_list=model_server_config_pb2.ModelConfigList())
        if versions:
            model = config.model_config_list.config.add(
                name=MODEL, base_path=self.bucket.uri(layout.versions(MODEL)), model_platform="tensorflow"
            )
            model.model_version_policy.specific.versions.extend(versions)
            if stable is not None:
                model.version_labels[STABLE] = stable
        return config

    def write(self, versions: Collection[int], stable: int | None = None) -> None:
        self.write_text(text_format.MessageToString(self.config(versions, stable)) or "model_config_list {}")

    def write_text(self, text: str) -> None:
        key = layout.config(MODEL)
        try:
            before = self.bucket.read(key)
        except MissingError:
            before = None
        assert self.bucket.replace(key, text.encode(), instead_of=before)

    def status(self, version: int) -> VersionStatus | None:
        with self.connect() as replica:
            return replica.status(MODEL, version)

    def state(self, version: int) -> str | None:
        status = self.status(version)
        return status.state if status else None

    def states(self) -> list[tuple[int, str]]:
        with self.connect() as replica:
            return [(status.version, status.state) for status in replica.statuses(MODEL)]

    def behind(self, label: str = STABLE) -> int | None:
        with self.connect() as replica:
            return replica.version_behind(MODEL, label)

    def predict(self, image: bytes, *, version: int | None = None, label: str | None = None) -> Answer:
        array = np.empty(1, dtype=object)
        array[0] = image
        with self.connect() as replica:
            return replica.predict(MODEL, {INPUT: array}, version=version, label=label)

    def reload(self, versions: Collection[int], stable: int | None = None) -> None:
        with self.connect() as replica:
            replica.reload(self.config(versions, stable))

    def heal(self, *, serving: int) -> str | None:
        with self.connect() as replica:
            return heal_if_stuck(
                replica, model=MODEL, base_path=self.bucket.uri(layout.versions(MODEL)), serving=serving
            )

    def answers(self) -> bool:
        """Whether a process is there and has opened its port."""
        try:
            self.states()
        except UnreachableError:
            return False
        return True


class SimulatedSide(Side):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bucket = MemoryBucket()
        self.clock = VirtualClock()
        timing = Timing(poll_seconds=POLL_SECONDS, storage_seconds=POLL_SECONDS)
        self._replica = SimulatedReplica(
            "simulated:1", model=MODEL, bucket=self.bucket, clock=self.clock, timing=timing
        )
        self._fleet = SimulatedFleet([self._replica], clock=self.clock, expected=1)

    def start(self) -> None:
        self._replica.start()

    def stop(self) -> None:
        self._replica.stop()

    def sleep(self) -> None:
        self._replica.sleep()

    def wake(self) -> None:
        self._replica.wake()

    def break_version(self, version: int | None) -> None:
        self._replica.broken.clear()
        if version is not None:
            self._replica.broken.add(version)

    def connect(self) -> Replica:
        return self._fleet.connect(self._replica.address, timeout=2.0)

    def eventually(self, check: Callable[[], bool]) -> bool:
        return self.clock.wait(check, 10.0)

    def let_polls_pass(self) -> None:
        self.clock.sleep(_SEVERAL_POLLS)


class RealSide(Side):
    """The embedded server, over gRPC and in real time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bucket = LocalBucket(folder / "bucket")
        config = folder / "bucket" / layout.config(MODEL)
        config.parent.mkdir(parents=True)
        self._replica = RunningReplica(config)
        self._starting: threading.Thread | None = None

    def start(self) -> None:
        self._starting = threading.Thread(target=self._start)
        self._starting.start()

    def stop(self) -> None:
        if self._starting is not None:
            self._replica.stop()
            self._starting.join()
            self._starting = None

    def sleep(self) -> None:
        self._replica.sleep()

    def wake(self) -> None:
        self._replica.wake()

    def break_version(self, version: int | None) -> None:
        self._replica.broken = version

    def connect(self) -> Replica:
        return GrpcReplica(self._replica.address, timeout=2.0)

    def eventually(self, check: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 10.0
        while not check():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def let_polls_pass(self) -> None:
        time.sleep(_SEVERAL_POLLS)

    def _start(self) -> None:
        try:
            self._replica.start()
        except StatusError:
            """The process gave up, or was stopped before it was ready: nobody answers."""
