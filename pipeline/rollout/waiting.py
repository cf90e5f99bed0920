"""Wait until every replica of a fleet has arrived somewhere, healing those that cannot get there by themselves."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pipeline.clock import Clock
from pipeline.verdicts.verdict import Decision, Verdict
from serving.errors import ServingError, UnreachableError
from serving.fleet import Fleet
from serving.replica import Replica

log = logging.getLogger(__name__)

_ROUND_SECONDS = 0.05
_TELL_SECONDS = 5.0


@dataclass(frozen=True)
class Standing:
    """Where one replica stands. `hopeless`: it has failed and will not try again; `silent`: it gave no answer."""

    address: str
    there: bool
    told: str
    hopeless: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Arrival:
    """How a wait ended: who is there, and who was not when it ended.

    `overtaken`: the journal has moved on, and what was waited for is not wanted any more.
    """

    there: tuple[str, ...]
    missing: tuple[Standing, ...]
    overtaken: bool = False

    @property
    def complete(self) -> bool:
        return not self.missing and not self.overtaken

    def verdict(self) -> Verdict:
        """FAIL where a replica that is missing spoke; UNKNOWN where all that are missing gave no answer."""
        if self.overtaken:
            return Verdict(decision=Decision.UNKNOWN, reasons=("the journal has moved on",))
        if not self.missing:
            return Verdict(decision=Decision.PASS, reasons=self.there)
        decision = Decision.UNKNOWN if all(standing.silent for standing in self.missing) else Decision.FAIL
        return Verdict(decision=decision, reasons=tuple(f"{each.address}: {each.told}" for each in self.missing))

    def __str__(self) -> str:
        return "; ".join(f"{standing.address}: {standing.told}" for standing in self.missing) or ", ".join(self.there)


@dataclass(frozen=True)
class Goal:
    """What is waited for. Times are seconds.

    `grace` is how long a replica may need to see the newest config at all: until then a failure may be an old one, and
    who is late is not stuck. After it, and again every so often, `wanted` says whether the journal still wants this,
    and `heal` is called for each missing replica that speaks. With `best_effort`, replicas that are hopeless, or silent
    for longer than `patience`, are not waited for; otherwise one hopeless replica ends the wait. `enough` may end it
    earlier, given the addresses of those that are there.
    """

    words: str
    look: Callable[[Replica], Standing]
    deadline: float
    grace: float
    wanted: Callable[[], bool]
    heal: Callable[[Replica], None] | None = None
    best_effort: bool = False
    patience: float = 0.0
    enough: Callable[[Sequence[str]], bool] | None = None


def wait_for(goal: Goal, *, fleet: Fleet, rpc_seconds: float, clock: Clock) -> Arrival:
    """Look at every replica, round after round.

    Ends when all are there in two rounds with the same members, at least as many as expected; when who is missing is
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

    def run(self) -> Arrival:
        settled: Sequence[str] | None = None
        tend_at, tell_at = self._start + self._goal.grace, self._start + _TELL_SECONDS
        while True:
            addresses = self._fleet.addresses()
            arrival = _arrival([self._look(address) for address in addresses], self._fleet.expected)
            if (arrival.complete and settled == addresses) or (self._goal.enough and self._goal.enough(arrival.there)):
                return arrival
            settled = addresses if arrival.complete else None
            now = self._clock.monotonic()
            if not arrival.complete and self._is_over(arrival, now):
                return arrival
            if now >= tend_at:
                if not self._goal.wanted():
                    return replace(arrival, overtaken=True)
                self._heal(arrival)
                tend_at = now + self._goal.grace
            if now >= tell_at:
                log.info("waiting %.0f s to %s: %s", now - self._start, self._goal.words, arrival)
                tell_at = now + _TELL_SECONDS
            self._clock.sleep(_ROUND_SECONDS)

    def _look(self, address: str) -> Standing:
        if address not in self._replicas:
            self._replicas[address] = self._stack.enter_context(self._fleet.connect(address, timeout=self._rpc_seconds))
        try:
            standing = self._goal.look(self._replicas[address])
        except UnreachableError as error:
            self._silent_since.setdefault(address, self._clock.monotonic())
            return Standing(address, there=False, told=error.told, silent=True)
        except ServingError as error:
            standing = Standing(address, there=False, told=error.told)
        self._silent_since.pop(address, None)
        return standing

    def _is_over(self, arrival: Arrival, now: float) -> bool:
        waited = now - self._start
        if waited > self._goal.deadline:
            return True
        hopeless = [each for each in arrival.missing if each.hopeless and waited > self._goal.grace]
        if not self._goal.best_effort:
            return bool(hopeless)
        silent = [each for each in arrival.missing if each.silent and self._has_been_silent(each.address, now)]
        return len(hopeless) + len(silent) == len(arrival.missing)

    def _has_been_silent(self, address: str, now: float) -> bool:
        return now - self._silent_since.get(address, self._start) > self._goal.patience

    def _heal(self, arrival: Arrival) -> None:
        if self._goal.heal is None:
            return
        for standing in arrival.missing:
            if standing.silent:
                continue
            try:
                self._goal.heal(self._replicas[standing.address])
            except ServingError as error:
                log.warning("could not heal %s", error)


def _arrival(standings: Sequence[Standing], expected: int) -> Arrival:
    there = tuple(standing.address for standing in standings if standing.there)
    missing = tuple(standing for standing in standings if not standing.there)
    if len(standings) < expected:
        unknown = Standing("the fleet", there=False, told=f"{len(standings)} of {expected} replicas known", silent=True)
        missing = (*missing, unknown)
    return Arrival(there=there, missing=missing)
