"""The simulated server and the real one behind one set of levers, so that a scenario can be played on both."""

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.rollout.healing import heal_if_stuck
from pipeline.storage.bucket import Bucket
from pipeline.storage.local import LocalBucket
from pipeline.storage.memory import MemoryBucket
from pipeline.storage.sums import MARK
from serving.apis import model_server_config_pb2
from serving.errors import UnreachableError
from serving.grpc_replica import GrpcReplica
from serving.model_server.lifecycle.aspired_versions_manager import ManagerOptions
from serving.replica import STABLE, Answer, Replica, VersionStatus
from serving.signature import inputs_of
from tests.fleet import POLL_SECONDS, RESTART_SECONDS, RETRY_SECONDS, RunningReplica, write_classifier
from tests.protocol.clock import VirtualClock
from tests.protocol.process import Timing
from tests.protocol.simulated import SimulatedFleet, SimulatedReplica

MODEL = "digits"
# Long enough for what happens to have happened, where a scenario waits for nothing to happen.
_SEVERAL_POLLS = 8 * POLL_SECONDS


class Side(ABC):
    """One replica over a bucket. Every question is asked over a connection of its own, as none lasts here.

    Args:
        folder: where its files go.
        latest: it is started on the base path instead of a config.
        default_flags: a load that fails is tried five times more, and keeps all other loads waiting meanwhile.
        first_ring: its config, or its base path, is the one of the first ring.
    """

    bucket: Bucket

    def __init__(
        self, folder: Path, *, latest: bool = False, default_flags: bool = False, first_ring: bool = False
    ) -> None:
        self._config_key = layout.first_ring_config(MODEL) if first_ring else layout.config(MODEL)
        self._versions = layout.first_ring_versions(MODEL) if first_ring else layout.versions(MODEL)
        self._folder = folder
        self._latest = latest
        self._default_flags = default_flags
        self._models = itertools.count()

    @abstractmethod
    def start(self) -> None:
        """Start a process, and another whenever one gives up; do not wait for any to answer."""

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
    def lose_base_path(self) -> None:
        """From now on there is none, not even an empty one."""

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

    def add_unfinished(self, version: int) -> None:
        """As a model server sees an upload on its way: `saved_model.pb` comes last."""
        assert self.bucket.create(f"{layout.version(MODEL, version)}/classifier.json", b"{}")

    def finish(self, version: int) -> None:
        assert self.bucket.create(f"{layout.version(MODEL, version)}/{MARK}", b"stands for the graph")

    def place_for_the_ring(self, version: int) -> None:
        """As `add`, below the base path of the first ring."""
        source = self._folder / f"model-{next(self._models)}"
        write_classifier(source)
        self.bucket.upload(source, layout.first_ring_version(MODEL, version))

    def remove(self, *versions: int) -> None:
        for version in versions:
            assert self.bucket.remove(layout.version(MODEL, version))

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

    def write_text(self, text: str, *, key: str | None = None) -> None:
        """Write the config that it polls, or another one."""
        key = key or self._config_key
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

    def answering(self) -> int | None:
        """The version that traffic gets which names neither label nor version."""
        return self.behind(None)

    def behind(self, label: str | None = STABLE) -> int | None:
        with self.connect() as replica:
            return replica.version_behind(MODEL, label)

    def predict(self, image: bytes, *, version: int | None = None, label: str | None = None) -> Answer:
        with self.connect() as replica:
            return replica.predict(MODEL, inputs_of([image]), version=version, label=label)

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
    def __init__(
        self, folder: Path, *, latest: bool = False, default_flags: bool = False, first_ring: bool = False
    ) -> None:
        super().__init__(folder, latest=latest, default_flags=default_flags, first_ring=first_ring)
        self.bucket = MemoryBucket()
        self.clock = VirtualClock()
        timing = Timing(
            poll_seconds=POLL_SECONDS,
            storage_seconds=POLL_SECONDS,
            restart_seconds=RESTART_SECONDS,
        )
        if default_flags:
            timing = replace(timing, options=ManagerOptions(retry_interval_seconds=RETRY_SECONDS))
        self._replica = SimulatedReplica(
            "simulated:1",
            model=MODEL,
            bucket=self.bucket,
            clock=self.clock,
            timing=timing,
            latest=latest,
            first_ring=first_ring,
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

    def lose_base_path(self) -> None:
        self._replica.files.folders_stay = False
        assert self.bucket.remove(layout.versions(MODEL))

    def connect(self) -> Replica:
        return self._fleet.connect(self._replica.address, timeout=2.0)

    def eventually(self, check: Callable[[], bool]) -> bool:
        return self.clock.wait(check, 10.0)

    def let_polls_pass(self) -> None:
        self.clock.sleep(_SEVERAL_POLLS)


class RealSide(Side):
    """The embedded server, over gRPC and in real time."""

    def __init__(
        self, folder: Path, *, latest: bool = False, default_flags: bool = False, first_ring: bool = False
    ) -> None:
        super().__init__(folder, latest=latest, default_flags=default_flags, first_ring=first_ring)
        self.bucket = LocalBucket(folder / "bucket")
        self._base_path = Path(self.bucket.uri(self._versions))
        self._replica = RunningReplica(
            None if latest else Path(self.bucket.uri(self._config_key)),
            base_path=self._base_path if latest else None,
            default_flags=default_flags,
            restarting=True,
        )

    def start(self) -> None:
        self._replica.start()

    def stop(self) -> None:
        self._replica.stop()

    def sleep(self) -> None:
        self._replica.sleep()

    def wake(self) -> None:
        self._replica.wake()

    def break_version(self, version: int | None) -> None:
        self._replica.broken = version

    def lose_base_path(self) -> None:
        self._base_path.rename(self._folder / "lost")

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
