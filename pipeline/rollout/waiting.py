"""Wait until every replica of a fleet is ready, and repair those that cannot become ready by themselves."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pipeline.clock import Clock
from pipeline.journal.state import State
from pipeline.verdicts.verdict import Decision, Verdict
from serving.errors import ServingError, UnreachableError
from serving.fleet.fleet import Fleet
from serving.replica import Replica, VersionStatus

log = logging.getLogger(__name__)

OVERTAKEN = "another command changed this model meanwhile, so this one stopped"

_ROUND_SECONDS = 0.05
_LOG_SECONDS = 5.0


@dataclass(frozen=True)
class ReplicaState:
    """The state of one replica with regard to a goal.

    Attributes:
        address: `host:port`, or `the fleet` for replicas that are missing.
        ready: whether it has reached the goal.
        message: what it answered, or why it did not answer.
        failed: it cannot reach the goal, and does not try again.
        silent: it gave no answer.
    """

    address: str
    ready: bool
    message: str
    failed: bool = False
    silent: bool = False


@dataclass(frozen=True)
class WaitResult:
    """How a wait ended.

    Attributes:
        ready: the addresses of the replicas that have reached the goal.
        pending: all others.
        overtaken: the journal has a newer decision, and does not want the goal any more.
    """

    ready: tuple[str, ...]
    pending: tuple[ReplicaState, ...]
    overtaken: bool = False

    @property
    def complete(self) -> bool:
        """Whether every replica is ready and the journal still wants the goal."""
        return not self.pending and not self.overtaken

    def verdict(self) -> Verdict:
        """PASS if all are ready; FAIL if a pending replica answered; else UNKNOWN. UNKNOWN too if overtaken."""
        if self.overtaken:
            return Verdict(decision=Decision.UNKNOWN, reasons=(OVERTAKEN,))
        if not self.pending:
            return Verdict(decision=Decision.PASS, reasons=self.ready)
        decision = Decision.UNKNOWN if all(state.silent for state in self.pending) else Decision.FAIL
        return Verdict(decision=decision, reasons=tuple(f"{each.address}: {each.message}" for each in self.pending))

    def __str__(self) -> str:
        return "; ".join(f"{state.address}: {state.message}" for state in self.pending) or ", ".join(self.ready)


@dataclass(frozen=True)
class Goal:
    """What to wait for. Times are in seconds.

    Attributes:
        action: completes the log line "waiting 5 s to ...".
        look: asks one replica; raises `ServingError` if it does not answer.
        deadline: the longest time to wait.
        grace: how long a replica may need to see the newest config. Until then a failure may be an old one, and a slow
            replica is not stuck.
        wanted: whether the journal still wants the goal; called after `grace`, and again after each further `grace`.
        heal: called then for each pending replica that answers.
        best_effort: do not wait for replicas that have failed or have been silent for `patience`. Otherwise one failed
            replica ends the wait.
        patience: see `best_effort`.
        enough: ends the wait early; gets the addresses of the replicas that are ready.
    """

    action: str
    look: Callable[[Replica], ReplicaState]
    deadline: float
    grace: float
    wanted: Callable[[], bool]
    heal: Callable[[Replica], None] | None = None
    best_effort: bool = False
    patience: float = 0.0
    enough: Callable[[Sequence[str]], bool] | None = None


def wait_for(goal: Goal, *, fleet: Fleet, rpc_seconds: float, clock: Clock) -> WaitResult:
    """Look at every replica, round after round, until the wait ends.

    It ends when all are ready in two consecutive rounds with the same members, at least as many as expected; when
    waiting for the pending ones is pointless (see `Goal`); when the journal does not want the goal any more; or at the
    deadline.

    Args:
        goal: what to wait for.
        fleet: which replicas exist; asked again in each round.
        rpc_seconds: the longest that one call may take.
        clock: the time, and how to sleep.
    """
    with ExitStack() as stack:
        return _Wait(goal, fleet, rpc_seconds, clock, stack).run()


class _Wait:
    def __init__(self, goal: Goal, fleet: Fleet, rpc_seconds: float, clock: Clock, stack: ExitStack) -> None:
        self._goal = goal
        self._fleet = fleet
        self._rpc_seconds = rpc_seconds
        self._clock = clock
        self._stack = stack
        self._replicas: dict[str, Replica] = {}
        self._silent_since: dict[str, float] = {}
        self._start = self._clock.monotonic()

    def run(self) -> WaitResult:
        settled: Sequence[str] | None = None
        heal_at, log_at = self._start + self._goal.grace, self._start + _LOG_SECONDS
        while True:
            addresses = self._fleet.addresses()
            result = _result_of([self._look(address) for address in addresses], self._fleet.shortfall(addresses))
            if (result.complete and settled == addresses) or (self._goal.enough and self._goal.enough(result.ready)):
                return result
            settled = addresses if result.complete else None
            now = self._clock.monotonic()
            if not result.complete and self._is_over(result, now):
                return result
            if now >= heal_at:
                if not self._goal.wanted():
                    return replace(result, overtaken=True)
                self._heal(result)
                heal_at = now + self._goal.grace
            if now >= log_at:
                log.info("waiting %.0f s to %s: %s", now - self._start, self._goal.action, result)
                log_at = now + _LOG_SECONDS
            self._clock.sleep(_ROUND_SECONDS)

    def _look(self, address: str) -> ReplicaState:
        if address not in self._replicas:
            self._replicas[address] = self._stack.enter_context(self._fleet.connect(address, timeout=self._rpc_seconds))
        try:
            state = self._goal.look(self._replicas[address])
        except UnreachableError as error:
            self._silent_since.setdefault(address, self._clock.monotonic())
            return ReplicaState(address, ready=False, message=error.message, silent=True)
        except ServingError as error:
            state = ReplicaState(address, ready=False, message=error.message)
        self._silent_since.pop(address, None)
        return state

    def _is_over(self, result: WaitResult, now: float) -> bool:
        waited = now - self._start
        if waited > self._goal.deadline:
            return True
        failed = [each for each in result.pending if each.failed and waited > self._goal.grace]
        if not self._goal.best_effort:
            return bool(failed)
        silent = [each for each in result.pending if each.silent and self._has_been_silent(each.address, now)]
        return len(failed) + len(silent) == len(result.pending)

    def _has_been_silent(self, address: str, now: float) -> bool:
        return now - self._silent_since.get(address, self._start) > self._goal.patience

    def _heal(self, result: WaitResult) -> None:
        if self._goal.heal is None:
            return
        for state in result.pending:
            if state.silent:
                continue
            try:
                self._goal.heal(self._replicas[state.address])
            except ServingError as error:
                log.warning("could not repair %s", error)


def _result_of(states: Sequence[ReplicaState], shortfall: str) -> WaitResult:
    ready = tuple(state.address for state in states if state.ready)
    pending = tuple(state for state in states if not state.ready)
    if shortfall:
        pending = (*pending, ReplicaState("the fleet", ready=False, message=shortfall, silent=True))
    return WaitResult(ready=ready, pending=pending)


def overtaken(state: State) -> str:
    """A message for a command whose goal the journal does not want any more."""
    return f"{OVERTAKEN}. State now: {state}. Check `understudy status --model <model>`"


def described(version: int, status: VersionStatus) -> str:
    """What a replica says of a version, as text for a message."""
    return f"v{version} {status.state}" + (f": {status.error}" if status.error else "")
