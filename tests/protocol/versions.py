"""The versions of one model in one simulated server: what is aspired, what is loaded, what was ever seen."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from serving.model_server.lifecycle.aspired_versions_manager import LOOP_SECONDS, ManagerOptions
from serving.model_server.lifecycle.availability_preserving_policy import Action, Phase, Snapshot, next_action
from serving.replica import VersionStatus
from serving.status import CancelledError, NotFoundError, StatusError
from tests.fleet import Classifier
from tests.protocol.clock import VirtualClock
from tests.protocol.loading import Load

NEVER = math.inf
_OVER = (Phase.NEW, Phase.GONE, Phase.ERROR)


def next_turn(now: float, *, begun: float, seconds: float) -> float:
    """The first of the moments `begun`, `begun + seconds`, ... after `now`."""
    return begun + (math.floor((now - begun) / seconds + 1e-6) + 1) * seconds


# A generator: what it yields are the seconds until it goes on.
_Job = Iterator[float]


class _Workers:
    """Threads that do jobs in the order of their coming. Without any a job keeps whoever handed it in."""

    def __init__(self, threads: float, clock: VirtualClock) -> None:
        self._threads = threads
        self._clock = clock
        self._waiting: deque[_Job] = deque()
        self._running: list[tuple[float, _Job]] = []
        self._old: list[_Job] = []

    @property
    def due(self) -> float:
        return min((end for end, _ in self._running), default=NEVER)

    @property
    def keeps_the_caller(self) -> bool:
        return not self._threads and bool(self._running)

    @property
    def at_old_jobs(self) -> bool:
        """Whether a job still runs that had begun before the threads were exchanged."""
        return any(job in self._old for _, job in self._running)

    def exchange(self, threads: float) -> None:
        """Nothing begins before everything that runs now is done."""
        self._threads = threads
        self._old = [job for _, job in self._running]

    def submit(self, job: _Job) -> None:
        self._waiting.append(job)
        self._begin()

    def act(self) -> None:
        now = self._clock.monotonic()
        due = [job for end, job in self._running if end <= now]
        self._running = [(end, job) for end, job in self._running if end > now]
        for job in due:
            self._go_on(job)
        self._begin()

    def _begin(self) -> None:
        while self._waiting and not self.at_old_jobs and len(self._running) < max(self._threads, 1):
            self._go_on(self._waiting.popleft())

    def _go_on(self, job: _Job) -> None:
        seconds = next(job, None)
        if seconds is not None:
            self._running.append((self._clock.monotonic() + seconds, job))


@dataclass(eq=False)
class _Managed:
    version: int
    path: str
    phase: Phase = Phase.NEW
    aspired: bool = True
    cancelled: bool = False
    classifier: Classifier | None = None


class Versions:
    """The rules of `serving.model_server.lifecycle.aspired_versions_manager`, for one model and in virtual time."""

    def __init__(
        self, load: Callable[[int, str], Load], options: ManagerOptions, *, unload_seconds: float, clock: VirtualClock
    ) -> None:
        self.due = NEVER
        # Every version ever seen.
        self.seen: dict[int, VersionStatus] = {}
        self._settled_at: dict[int, int] = {}
        self._moment = 0
        self._load = load
        self._options = options
        self._unload_seconds = unload_seconds
        self._clock = clock
        self._begun = clock.monotonic()
        self._turn = NEVER
        self._managed: dict[int, _Managed] = {}
        self._pending: Mapping[int, str] | None = None
        self._taken_in: Mapping[int, str] = {}
        # The first models are loaded side by side, whatever was asked for later ones.
        self._loads = _Workers(math.inf, clock)
        self._unloads = _Workers(options.unload_threads, clock)

    @property
    def initial_load(self) -> bool:
        """Whether a load still runs that had begun before the end of the initial load was asked for."""
        return self._loads.at_old_jobs

    def end_initial_load(self) -> None:
        self._loads.exchange(self._options.load_threads)

    def aspire(self, versions: Mapping[int, str]) -> None:
        """The same list once more changes nothing, whether it was taken in or is still held."""
        if versions == (self._taken_in if self._pending is None else self._pending):
            return
        self._pending = versions
        self._have_a_turn()

    def mark(self) -> int:
        return self._moment

    def settled(self, *, since: int) -> VersionStatus | None:
        """The highest version that came to AVAILABLE or END after the mark."""
        version = max((each for each, moment in self._settled_at.items() if moment > since), default=None)
        return None if version is None else self.seen[version]

    def classifier(self, model: str, version: int | None) -> tuple[int, Classifier]:
        """The version asked for, or the highest that is loaded; raises NOT_FOUND."""
        found = max((each for each in self.seen.values() if each.available), key=_number, default=None)
        if version is not None:
            found = self.seen.get(version)
        if found is None or not found.available:
            wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            raise NotFoundError(f"Servable not found for request: {wanted}")
        classifier = self._managed[found.version].classifier
        assert classifier is not None
        return found.version, classifier

    def act(self) -> None:
        now = self._clock.monotonic()
        for workers in (self._loads, self._unloads):
            if workers.due <= now:
                workers.act()
        if self._turn <= now and not self._kept:
            self._turn = NEVER
            self._step()
        self._plan()

    @property
    def _kept(self) -> bool:
        return self._loads.keeps_the_caller or self._unloads.keeps_the_caller

    def _step(self) -> None:
        """One turn: forget what is over, take in what is aspired now, then load or unload one version."""
        self._managed = {v: each for v, each in self._managed.items() if each.aspired or each.phase not in _OVER}
        self._take_in()
        action = next_action([Snapshot(e.version, e.phase, e.aspired) for e in self._managed.values()])
        if action is None:
            return
        each = self._managed[action[1]]
        if action[0] is Action.LOAD:
            each.phase = Phase.LOADING
            self._loads.submit(self._execute_load(each))
        else:
            each.phase = Phase.UNLOADING
            self._unloads.submit(self._execute_unload(each))
        self._have_a_turn()

    def _take_in(self) -> None:
        """A list that wants a version back which is still on its way out is held until that one is gone."""
        if self._pending is None or any(not e.aspired and v in self._pending for v, e in self._managed.items()):
            return
        for version, each in self._managed.items():
            if version not in self._pending:
                each.aspired, each.cancelled = False, True
        for version, path in sorted(self._pending.items()):
            if version not in self._managed:
                self._managed[version] = _Managed(version, path)
                self._publish(version, "START")
        self._taken_in, self._pending = self._pending, None

    def _execute_load(self, each: _Managed) -> _Job:
        self._publish(each.version, "LOADING")
        for attempt in range(self._options.load_retries + 1):
            if attempt:
                yield self._options.retry_interval_seconds
            load = self._load(each.version, each.path)
            yield load.seconds
            result = load.result()
            if each.cancelled or not isinstance(result, StatusError):
                break
        if each.cancelled and not isinstance(result, StatusError):
            result = CancelledError("Loading of servable cancelled")
        if isinstance(result, StatusError):
            each.phase = Phase.ERROR
            self._publish(each.version, "END", result.message)
        else:
            each.phase, each.classifier = Phase.READY, result
            self._publish(each.version, "AVAILABLE")
        self._have_a_turn()

    def _execute_unload(self, each: _Managed) -> _Job:
        self._publish(each.version, "UNLOADING")
        yield self._unload_seconds
        each.phase = Phase.GONE
        self._publish(each.version, "END")
        self._have_a_turn()

    def _publish(self, version: int, state: str, error: str = "") -> None:
        self._moment += 1
        self.seen[version] = VersionStatus(version, state, error)
        self._settled_at.pop(version, None)
        if state in ("AVAILABLE", "END"):
            self._settled_at[version] = self._moment

    def _have_a_turn(self) -> None:
        self._turn = next_turn(self._clock.monotonic(), begun=self._begun, seconds=LOOP_SECONDS)
        self._plan()

    def _plan(self) -> None:
        self.due = min(NEVER if self._kept else self._turn, self._loads.due, self._unloads.due)


def _number(status: VersionStatus) -> int:
    return status.version
