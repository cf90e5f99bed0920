"""Loads what is aspired and unloads what is not, keeping every model answering meanwhile."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from serving.model_server.lifecycle.availability_preserving_policy import Action, Phase, Snapshot, next_action
from serving.model_server.lifecycle.loader_harness import LoaderHarness
from serving.model_server.lifecycle.periodic_function import PeriodicFunction
from serving.model_server.lifecycle.servable import Load, Servable, ServableId
from serving.model_server.lifecycle.servable_state_monitor import ManagerState, ServableStateMonitor
from serving.model_server.lifecycle.storage_path_source import Versions
from serving.status import NotFoundError, StatusError

LOOP_SECONDS = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ManagerOptions:
    load_threads: int = 0
    unload_threads: int = 0
    load_retries: int = 5
    retry_interval_seconds: float = 60.0


class Workers:
    """Threads that can be exchanged; with none, work is done by the thread that hands it in."""

    def __init__(self, threads: int, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pool = self._make(threads)

    def submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.submit(work)
                return
        work()

    def resize(self, threads: int) -> None:
        """Returns when everything handed in before is done."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=True)
            self._pool = self._make(threads)

    def _make(self, threads: int) -> ThreadPoolExecutor | None:
        return ThreadPoolExecutor(threads, thread_name_prefix=self._name) if threads > 0 else None


class AspiredVersionsManager:
    """Turns lists of aspired versions into loads and unloads, one action at each turn of its loop."""

    def __init__(self, load: Load, monitor: ServableStateMonitor, options: ManagerOptions) -> None:
        self._load = load
        self._monitor = monitor
        self._options = options
        self._lock = threading.Lock()
        self._managed: dict[ServableId, LoaderHarness] = {}
        self._pending: dict[str, Versions] = {}
        self._stopped = threading.Event()
        # The first models are loaded by many threads, whatever was asked for later ones.
        self._loads = Workers(4 * (os.cpu_count() or 1), "load")
        self._unloads = Workers(options.unload_threads, "unload")
        self._loop = PeriodicFunction(self.step, seconds=LOOP_SECONDS, name="manager")

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """No further action and no further try; what is loaded stays so."""
        self._loop.stop()
        with self._lock:
            for harness in self._managed.values():
                harness.cancel()
        self._stopped.set()

    def end_initial_load(self) -> None:
        """From here on as many loads at a time as asked for; waits for those under way."""
        self._loads.resize(self._options.load_threads)

    def aspire(self, name: str, versions: Versions) -> None:
        """Ask for exactly these versions; of several such calls for a model the newest counts."""
        with self._lock:
            self._pending[name] = versions

    @contextmanager
    def servable(self, name: str, version: int | None) -> Iterator[tuple[ServableId, Servable]]:
        """The version asked for, or the highest ready one; it stays loaded until the block ends."""
        with self._lock:
            ready = [each for each in self._managed.values() if each.serving and each.id.name == name]
            if version is not None:
                ready = [each for each in ready if each.id.version == version]
            if not ready:
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise NotFoundError(f"Servable not found for request: {wanted}")
            harness = max(ready, key=lambda each: each.id.version)
            harness.enter()
        with harness.use() as servable:
            yield harness.id, servable

    def step(self) -> None:
        """One turn: forget what is over, take in what is aspired now, then load or unload one version."""
        with self._lock:
            self._forget_finished()
            for name in list(self._pending):
                self._take_in(name)
            chosen = self._choose()
        if chosen is None:
            return
        action, harness = chosen
        if action is Action.LOAD:
            self._loads.submit(lambda: self._execute_load(harness))
        else:
            self._unloads.submit(lambda: self._execute_unload(harness))

    def _forget_finished(self) -> None:
        over = (Phase.NEW, Phase.GONE, Phase.ERROR)
        self._managed = {each.id: each for each in self._managed.values() if each.aspired or each.phase not in over}

    def _take_in(self, name: str) -> None:
        """Mark what is no longer wanted and start managing what is new.

        A list that wants a version back which is still on its way out is held until that one is gone.
        """
        versions = self._pending[name]
        managed = [each for each in self._managed.values() if each.id.name == name]
        if any(not each.aspired and each.id.version in versions for each in managed):
            return
        del self._pending[name]
        for harness in managed:
            if harness.id.version not in versions:
                harness.aspired = False
                harness.cancel()
        for version, path in versions.items():
            servable_id = ServableId(name, version)
            if servable_id not in self._managed:
                self._managed[servable_id] = LoaderHarness(servable_id, path)
                self._monitor.publish(servable_id, ManagerState.START)

    def _choose(self) -> tuple[Action, LoaderHarness] | None:
        """The next action over all models, already marked as begun."""
        choices = []
        for name in sorted({each.name for each in self._managed}):
            managed = [each for each in self._managed.values() if each.id.name == name]
            chosen_action = next_action([Snapshot(each.id.version, each.phase, each.aspired) for each in managed])
            if chosen_action is not None:
                choices.append((chosen_action[0], self._managed[ServableId(name, chosen_action[1])]))
        if not choices:
            return None
        action, harness = min(choices, key=lambda choice: choice[0].value)
        harness.phase = Phase.LOADING if action is Action.LOAD else Phase.UNLOADING
        return action, harness

    # The phase allows the manager its next action and so changes last: what is said of a version is said in order.

    def _execute_load(self, harness: LoaderHarness) -> None:
        self._monitor.publish(harness.id, ManagerState.LOADING)
        try:
            harness.load(
                self._load,
                retries=self._options.load_retries,
                interval_seconds=max(self._options.retry_interval_seconds, 0),
                sleep=self._stopped.wait,
            )
        except StatusError as error:
            self._monitor.publish(harness.id, ManagerState.END, error)
            harness.phase = Phase.ERROR
            return
        with self._lock:
            harness.serving = True
        self._monitor.publish(harness.id, ManagerState.AVAILABLE)
        harness.phase = Phase.READY

    def _execute_unload(self, harness: LoaderHarness) -> None:
        self._monitor.publish(harness.id, ManagerState.UNLOADING)
        with self._lock:
            harness.serving = False
        harness.unload()
        self._monitor.publish(harness.id, ManagerState.END)
        harness.phase = Phase.GONE
