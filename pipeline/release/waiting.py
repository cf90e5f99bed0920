"""Wait until every replica of a fleet has arrived somewhere, healing those that cannot get there by themselves."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from serving.errors import ServingError
from serving.fleet import Fleet
from serving.replica import Replica

log = logging.getLogger(__name__)

_ROUND_SECONDS = 0.1
_TELL_SECONDS = 5.0


@dataclass(frozen=True)
class Standing:
    """Where one replica stands. `hopeless`: more waiting cannot change it; `silent`: it gave no answer."""

    address: str
    there: bool
    told: str
    hopeless: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Arrival:
    """How a wait ended: who is there, and who was not when it ended."""

    there: tuple[str, ...]
    missing: tuple[Standing, ...]

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def undecided(self) -> bool:
        """Nothing bad was seen, but some replica gave no answer."""
        return bool(self.missing) and all(standing.silent for standing in self.missing)

    def __str__(self) -> str:
        return "; ".join(f"{standing.address}: {standing.told}" for standing in self.missing) or ", ".join(self.there)


@dataclass(frozen=True)
class Goal:
    """What is waited for. Times are seconds.

    `silence` is how long a replica that gives no answer is waited for. `heal` is called for each missing replica that
    speaks, every `heal_every`.
    """

    words: str
    look: Callable[[Replica], Standing]
    deadline: float
    silence: float
    heal: Callable[[Replica], None] | None = None
    heal_every: float = 0.0


def wait_for(goal: Goal, *, fleet: Fleet, rpc_seconds: float) -> Arrival:
    """Look at every replica, round after round.

    Ends when all are there in two rounds with the same members, at least as many as expected; when a replica is
    hopeless; when only silent ones are missing for longer than `goal.silence`; or at the deadline.
    """
    start = time.monotonic()
    told_at, heal_at = start, start + goal.heal_every
    settled: Sequence[str] | None = None
    with ExitStack() as stack:
        replicas: dict[str, Replica] = {}
        while True:
            addresses = fleet.addresses()
            for address in addresses:
                if address not in replicas:
                    replicas[address] = stack.enter_context(Replica(address, timeout=rpc_seconds))
            standings = [_look(replicas[address], goal.look) for address in addresses]
            arrival = _arrival(standings, fleet.expected)
            if arrival.complete and settled == addresses:
                return arrival
            settled = addresses if arrival.complete else None
            now = time.monotonic()
            if not arrival.complete and _is_over(arrival, goal, waited=now - start):
                return arrival
            if now - told_at >= _TELL_SECONDS:
                log.info("waiting %.0f s to %s: %s", now - start, goal.words, arrival)
                told_at = now
            if goal.heal and now >= heal_at:
                _heal([replicas[each.address] for each in standings if not each.there and not each.silent], goal.heal)
                heal_at = now + goal.heal_every
            time.sleep(_ROUND_SECONDS)


def _look(replica: Replica, look: Callable[[Replica], Standing]) -> Standing:
    try:
        return look(replica)
    except ServingError as error:
        return Standing(replica.address, there=False, told=error.told, silent=True)


def _arrival(standings: Sequence[Standing], expected: int) -> Arrival:
    there = tuple(standing.address for standing in standings if standing.there)
    missing = tuple(standing for standing in standings if not standing.there)
    if len(standings) < expected:
        unknown = Standing("the fleet", there=False, told=f"{len(standings)} of {expected} replicas known", silent=True)
        missing = (*missing, unknown)
    return Arrival(there=there, missing=missing)


def _is_over(arrival: Arrival, goal: Goal, *, waited: float) -> bool:
    if waited > goal.deadline or any(standing.hopeless for standing in arrival.missing):
        return True
    return arrival.undecided and waited > goal.silence


def _heal(replicas: Sequence[Replica], heal: Callable[[Replica], None]) -> None:
    for replica in replicas:
        try:
            heal(replica)
        except ServingError as error:
            log.warning("could not heal %s", error)
