"""Wait until every replica of a fleet is ready, and repair those that cannot become ready by themselves."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.clock import Clock
from pipeline.rollout.asking import Asking, Reply
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.wait_result import ReplicaState, WaitResult
from pipeline.rollout.workers import Workers
from serving.errors import ConnectionLostError, DiscoveryError, ServingError, UnreachableError
from serving.fleet.fleet import Fleet
from serving.replica import Replica

log = logging.getLogger(__name__)

# A round takes what is known: it does not wait for answers that take longer than the first, nor longer than the second.
_LATE_SECONDS = 0.1
_LONGEST_ROUND_SECONDS = 1.0
# Between two rounds: as long as the round took, so that a large fleet costs half a processor core at most.
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5
_LOG_SECONDS = 5.0
_FLEET = "the fleet"


@dataclass(frozen=True)
class Goal:
    """What to wait for. Times are in seconds.

    Attributes:
        action: completes the log line "waiting 5 s to ...".
        look: asks one replica; raises `ServingError` if it does not answer. Called in several threads.
        deadline: the longest time to wait.
        grace: how long a replica may need to see the newest config. Until then a failure may be an old one, and a slow
            replica is not stuck.
        wanted: whether the journal still wants the goal; called after `grace`, and again after each further `grace`.
        heal: called then for each pending replica that answers, in several threads, but never twice at a time for one.
        best_effort: do not wait for replicas that have failed or have been silent for `patience`. Otherwise one failed
            replica ends the wait.
        patience: see `best_effort`.
        enough: ends the wait early; gets the addresses of the replicas that are ready.
        crashes: notified of every answer, and of every replica that gives none.
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
    crashes: CrashDetector | None = None


def wait_for(goal: Goal, *, fleet: Fleet, rpc_seconds: float, clock: Clock, workers: Workers) -> WaitResult:
    """Look at every replica, round after round, until the wait ends.

    It ends when all are ready and have been ready in two consecutive looks with the same members, at least as many as
    expected; when waiting for the pending ones is pointless (see `Goal`); when the journal does not want the goal any
    more; or at the deadline. A look or a repair that has no answer then is cancelled.

    Replicas are looked at concurrently. One that has not answered yet keeps its last state, so it delays no other.
    While discovery fails, the replicas that were found last are looked at, and the wait is not complete.

    Args:
        goal: what to wait for.
        fleet: which replicas exist; asked again in each round.
        rpc_seconds: the longest that one call may take.
        clock: the time, and how to sleep.
        workers: ask the replicas; closed when the wait ends.
    """
    with Asking[ReplicaState | None](fleet, rpc_seconds=rpc_seconds, clock=clock, workers=workers) as asking:
        return _Wait(goal, fleet, asking, clock).run()


class _Wait:
    def __init__(self, goal: Goal, fleet: Fleet, asking: Asking[ReplicaState | None], clock: Clock) -> None:
        self._goal = goal
        self._fleet = fleet
        self._asking = asking
        self._clock = clock
        # By address: which server process it is, where that is known; None elsewhere.
        self._members: Mapping[str, tuple[str, int] | None] = {}
        self._states: dict[str, ReplicaState] = {}
        # By address: when the look was made that the state is from, and since when there was no answer.
        self._looked_at: dict[str, float] = {}
        self._silent_since: dict[str, float] = {}
        self._healing: set[str] = set()
        # Since when all have been ready, with the same members.
        self._complete_since: float | None = None
        self._start = self._clock.monotonic()

    def run(self) -> WaitResult:
        heal_at, log_at = self._start + self._goal.grace, self._start + _LOG_SECONDS
        while True:
            began = self._clock.monotonic()
            confirmed, result = self._confirm(self._round())
            if confirmed or (self._goal.enough and self._goal.enough(result.ready)):
                return result
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
            self._clock.sleep(min(max(_PAUSE_SECONDS, now - began), _LONGEST_PAUSE_SECONDS))

    def _round(self) -> WaitResult:
        """Look at every replica that has no open question; what is known after it."""
        problem, undiscovered = self._discover(self._fleet.addresses)
        for address in self._members:
            if not self._asking.is_open(address):
                self._asking.ask(address, self._goal.look)
        self._receive()
        states = [self._states.get(address, _not_answered(address)) for address in self._members]
        ready = tuple(state.address for state in states if state.ready)
        pending = tuple(state for state in states if not state.ready)
        if problem:
            pending = (*pending, _of_fleet(problem))
        return WaitResult(ready=ready, pending=pending, undiscovered=undiscovered)

    def _discover(self, addresses: Callable[[], Sequence[str]]) -> tuple[str, bool]:
        """Find out which replicas exist; what is wrong with them as a whole, and whether discovery failed."""
        try:
            found = addresses()
        except DiscoveryError as error:
            problem, undiscovered = str(error), True
        else:
            problem, undiscovered = self._fleet.shortfall(found), False
            pods = self._fleet.pods()
            members = {address: pods[address].process if address in pods else None for address in found}
            if members != self._members:
                self._complete_since = None
                # Another pod, or another start of the same pod, has to be ready twice itself.
                self._forget({address for address, _ in self._members.items() - members.items()})
            self._members = members
        if problem:
            self._silent_since.setdefault(_FLEET, self._clock.monotonic())
        else:
            self._silent_since.pop(_FLEET, None)
        return problem, undiscovered

    def _forget(self, gone: set[str]) -> None:
        for address in gone:
            for known in (self._states, self._looked_at, self._silent_since):
                known.pop(address, None)

    def _confirm(self, result: WaitResult) -> tuple[bool, WaitResult]:
        """Whether all were ready, and have been again in a look that began later, and no replica has come since.

        The result is the same, or pending if the list of replicas could not be confirmed.
        """
        if not result.complete:
            self._complete_since = None
            return False, result
        if self._complete_since is None:
            self._complete_since = self._clock.monotonic()
            return False, result
        if any(self._looked_at[address] < self._complete_since for address in self._members):
            return False, result
        problem, undiscovered = self._discover(self._fleet.fresh_addresses)
        if not problem:
            return self._complete_since is not None, result
        self._complete_since = None
        return False, replace(result, pending=(_of_fleet(problem),), undiscovered=undiscovered)

    def _receive(self) -> None:
        for reply in self._asking.replies(late=_LATE_SECONDS, longest=_LONGEST_ROUND_SECONDS):
            if reply.address in self._healing:
                self._healing.discard(reply.address)
                _require_healed(reply)
            else:
                self._states[reply.address] = self._state(reply)
                self._looked_at[reply.address] = reply.asked_at

    def _state(self, reply: Reply[ReplicaState | None]) -> ReplicaState:
        address = reply.address
        try:
            state = reply.answer
        except UnreachableError as error:
            self._silent_since.setdefault(address, reply.asked_at)
            if self._goal.crashes:
                lost = isinstance(error, ConnectionLostError)
                (self._goal.crashes.lost if lost else self._goal.crashes.silent)(address, seconds=reply.seconds)
            return ReplicaState(address, ready=False, message=error.message, silent=True)
        except ServingError as error:
            state = ReplicaState(address, ready=False, message=error.message)
        assert state is not None, "a look returns a state"
        self._silent_since.pop(address, None)
        if self._goal.crashes and state.seen is not None:
            self._goal.crashes.answered(address, state.seen)
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
        """Whether it gives no answer for longer than `patience`. One that was not asked yet is not silent."""
        return now - self._silent_since.get(address, now) > self._goal.patience

    def _heal(self, result: WaitResult) -> None:
        heal = self._goal.heal
        if heal is None:
            return
        for state in result.pending:
            if not state.silent and not self._asking.is_open(state.address):
                self._healing.add(state.address)
                self._asking.ask(state.address, heal, patient=True)
        self._receive()


def _require_healed(reply: Reply[ReplicaState | None]) -> None:
    try:
        _ = reply.answer
    except ServingError as error:
        log.warning("could not repair %s", error)


def _of_fleet(problem: str) -> ReplicaState:
    return ReplicaState(_FLEET, ready=False, message=problem, silent=True)


def _not_answered(address: str) -> ReplicaState:
    return ReplicaState(address, ready=False, message="has not answered yet", silent=True)
