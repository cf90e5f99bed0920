"""Wait until every replica of a fleet is ready, and heal those that cannot become ready by themselves."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pipeline.clock import Clock
from pipeline.verdicts.verdict import Decision, Verdict
from serving.errors import ServingError, UnreachableError
from serving.fleet import Fleet
from serving.replica import Replica, VersionStatus

log = logging.getLogger(__name__)

_ROUND_SECONDS = 0.05
_LOG_SECONDS = 5.0


@dataclass(frozen=True)
class ReplicaState:
    """What one replica says. `failed`: it has failed and will not try again; `silent`: it gave no answer."""

    address: str
    ready: bool
    message: str
    failed: bool = False
    silent: bool = False


@dataclass(frozen=True)
class WaitResult:
    """How a wait ended: which replicas were ready, and which were not.

    `overtaken`: the journal has moved on, and what was waited for is not wanted any more.
    """

    ready: tuple[str, ...]
    pending: tuple[ReplicaState, ...]
    overtaken: bool = False

    @property
    def complete(self) -> bool:
        return not self.pending and not self.overtaken

    def verdict(self) -> Verdict:
        """FAIL where a pending replica answered; UNKNOWN where all pending ones gave no answer."""
        if self.overtaken:
            return Verdict(decision=Decision.UNKNOWN, reasons=("the journal has moved on",))
        if not self.pending:
            return Verdict(decision=Decision.PASS, reasons=self.ready)
        decision = Decision.UNKNOWN if all(state.silent for state in self.pending) else Decision.FAIL
        return Verdict(decision=decision, reasons=tuple(f"{each.address}: {each.message}" for each in self.pending))

    def __str__(self) -> str:
        return "; ".join(f"{state.address}: {state.message}" for state in self.pending) or ", ".join(self.ready)


@dataclass(frozen=True)
class Goal:
    """What is waited for. Times are seconds.

    `grace` is how long a replica may need to see the newest config at all: until then a failure may be an old one, and
    a late replica is not stuck. After it, and again every so often, `wanted` says whether the journal still wants this,
    and `heal` is called for each pending replica that answers. With `best_effort`, replicas that have failed, or were
    silent for longer than `patience`, are not waited for; otherwise one failed replica ends the wait. `enough` may end
    it earlier, given the addresses of those that are ready. `action` completes the log line "waiting 5 s to ...".
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
    """Look at every replica, round after round.

    Ends when all are ready in two rounds with the same members, at least as many as expected; when the pending ones are
    not worth waiting for (see `Goal`); when the journal does not want it any more; or at the deadline.
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
            result = _result_of([self._look(address) for address in addresses], self._fleet.expected)
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
            return ReplicaState(address, ready=False, message=error.told, silent=True)
        except ServingError as error:
            state = ReplicaState(address, ready=False, message=error.told)
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
                log.warning("could not heal %s", error)


def _result_of(states: Sequence[ReplicaState], expected: int) -> WaitResult:
    ready = tuple(state.address for state in states if state.ready)
    pending = tuple(state for state in states if not state.ready)
    if len(states) < expected:
        message = f"{len(states)} of {expected} replicas known"
        unknown = ReplicaState("the fleet", ready=False, message=message, silent=True)
        pending = (*pending, unknown)
    return WaitResult(ready=ready, pending=pending)


def described(version: int, status: VersionStatus) -> str:
    """What a replica says of a version, for a message."""
    return f"v{version} {status.state}" + (f": {status.error}" if status.error else "")
