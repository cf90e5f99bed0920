"""Model servers in this process of which it is known when they looked at their config and when they began to load."""

import random
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from serving.grpc_replica import GrpcReplica
from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from tests.fleet import Classifier, RunningReplica

_LOOK_SECONDS = 0.01


class Moments:
    """When files of this process were opened, and when they were replaced, by path. There is no end to listening."""

    def __init__(self) -> None:
        self.opened: dict[str, list[float]] = defaultdict(list)
        self.replaced: dict[str, list[float]] = defaultdict(list)
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self.opened[str(arguments[0])].append(time.perf_counter())
        elif event == "os.rename":
            self.replaced[str(arguments[1])].append(time.perf_counter())


class WatchedReplica(RunningReplica):
    """One model server that polls every so many seconds, tenths of them too."""

    def __init__(self, config: Path, moments: Moments, *, poll_seconds: float) -> None:
        super().__init__(config)
        self._moments = moments
        self._poll_seconds = cast("int", poll_seconds)
        self._loads: dict[int, float] = {}

    def start(self) -> None:
        flags = replace(
            parse_flags(replica_flags(ConfigSource(uri=str(self._seen)), port=self.port, load_retries=0)),
            model_config_file_poll_wait_seconds=self._poll_seconds,
            file_system_poll_wait_seconds=self._poll_seconds,
        )
        self._server = Server(flags, self._load)
        self._server.start()

    def _load(self, servable_id: ServableId, path: str) -> Classifier:
        self._loads[servable_id.version] = time.perf_counter()
        return super()._load(servable_id, path)

    def looked(self, *, after: float) -> float:
        """The first moment since then at which it looked at its config."""
        looks = self._moments.opened[str(self._seen)]
        return looks[bisect_left(looks, after)]

    def began_to_load(self, version: int) -> float:
        return self._loads[version]


class WatchedFleet:
    """Replicas that follow one config, their polls spread over the interval by chance."""

    def __init__(self, config: Path, moments: Moments, *, count: int, poll_seconds: float) -> None:
        self.replicas = [WatchedReplica(config, moments, poll_seconds=poll_seconds) for _ in range(count)]
        self._config = config
        self._moments = moments
        self._poll_seconds = poll_seconds
        self._pool = ThreadPoolExecutor(1)

    def start(self) -> None:
        for replica in self.replicas:
            time.sleep(random.random() * self._poll_seconds)  # noqa: S311 - chance is all that is asked of it
            replica.start()

    def stop(self) -> None:
        self._pool.shutdown()
        for replica in self.replicas:
            replica.stop()

    @property
    def addresses(self) -> list[str]:
        return [replica.address for replica in self.replicas]

    def config_writes(self, *, after: float) -> list[float]:
        return [moment for moment in self._moments.replaced[str(self._config)] if moment >= after]

    def last_look(self, *, after: float) -> float:
        """When the last replica looked at its config for the first time since then."""
        return max(replica.looked(after=after) for replica in self.replicas)

    def last_load(self, version: int) -> float:
        return max(replica.began_to_load(version) for replica in self.replicas)

    def answering(self, model: str, label: str, version: int) -> Future[float]:
        """The moment from which every replica answers from the version; looked for until then."""
        return self._pool.submit(self._wait, model, label, version)

    def _wait(self, model: str, label: str, version: int) -> float:
        with ExitStack() as stack:
            left = [stack.enter_context(GrpcReplica(address, timeout=5.0)) for address in self.addresses]
            while True:
                left = [replica for replica in left if replica.version_behind(model, label) != version]
                if not left:
                    return time.perf_counter()
                time.sleep(_LOOK_SECONDS)
