"""Many threads at once: loads, unloads and requests, and every model closed exactly once."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import pytest

from serving.model_server.lifecycle.aspired_versions_manager import AspiredVersionsManager, ManagerOptions
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.servable_state_monitor import ManagerState, ServableStateMonitor
from serving.status import NotFoundError, UnknownError
from serving.wire import Array
from tests.hunts import hunt_cases
from tests.serving.model_server.world import Times, eventually

SECONDS = 2.0
VERSIONS = range(1, 6)


class Counted(Times):
    """Knows how often it was closed and whether it was ever asked afterwards."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.closings = 0
        self.asked_when_closed = False

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        self.asked_when_closed |= self.closings > 0
        answer = super().run(feeds, fetches)
        time.sleep(0.0005)
        self.asked_when_closed |= self.closings > 0
        return answer

    def close(self) -> None:
        self.closings += 1


class Loads:
    """Loads that take a moment and fail now and then."""

    def __init__(self) -> None:
        self.made: list[Counted] = []
        self._random = random.Random(1)  # noqa: S311

    def __call__(self, servable_id: ServableId, path: str) -> Counted:
        time.sleep(self._random.random() * 0.005)
        if self._random.random() < 0.1:
            raise UnknownError("now and then")
        self.made.append(Counted(servable_id.version))
        return self.made[-1]


class Storm:
    """Requests, changed wishes and turns of the manager, each on threads of its own, for a while."""

    def __init__(self, manager: AspiredVersionsManager) -> None:
        self.problems: list[BaseException] = []
        self.answers = 0
        self._manager = manager
        self._over = threading.Event()

    def rage(self, seconds: float) -> None:
        works = [self._ask] * 4 + [self._change, self._manager.step]
        workers = [threading.Thread(target=self._repeat, args=[work]) for work in works]
        for worker in workers:
            worker.start()
        time.sleep(seconds)
        self._over.set()
        for worker in workers:
            worker.join(30)

    def _repeat(self, work: Callable[[], None]) -> None:
        try:
            while not self._over.is_set():
                work()
        except BaseException as problem:  # noqa: BLE001 - told by the test itself
            self.problems.append(problem)

    def _ask(self) -> None:
        wanted = random.choice([None, *VERSIONS])  # noqa: S311
        try:
            with self._manager.servable("m", wanted) as (servable_id, model):
                (y,) = cast(Counted, model).run({"x:0": np.ones(1, "float32")}, ["y:0"])
                assert y[0] == servable_id.version
                assert wanted in (None, servable_id.version)
                self.answers += 1
        except NotFoundError:
            time.sleep(0.0005)

    def _change(self) -> None:
        wish = random.sample(VERSIONS, random.randrange(4))  # noqa: S311
        self._manager.aspire("m", dict.fromkeys(wish, "/m"))
        time.sleep(0.003)


@pytest.mark.parametrize("threads", hunt_cases([0, 3], in_make_test=[3]))
def test_every_model_is_closed_once_and_none_is_asked_after_that(threads: int) -> None:
    loads, monitor = Loads(), ServableStateMonitor()
    options = ManagerOptions(load_threads=threads, unload_threads=threads, load_retries=2, retry_interval_seconds=0.001)
    manager = AspiredVersionsManager(loads, monitor, options)
    manager.end_initial_load()
    storm = Storm(manager)
    storm.rage(SECONDS)
    manager.aspire("m", {})

    def quiet() -> bool:
        manager.step()
        states = {seen.state for seen in monitor.versions("m").values()}
        return states <= {ManagerState.END, ManagerState.START} and all(model.closings for model in loads.made)

    eventually(quiet, seconds=30)
    manager.stop()
    assert storm.problems == []
    assert storm.answers > 0
    assert len(loads.made) > 10
    assert {model.closings for model in loads.made} == {1}
    assert not any(model.asked_when_closed for model in loads.made)
