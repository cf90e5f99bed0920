"""Releases to a simulated fleet whose first ring is `replica-0`, and what its replicas did meanwhile."""

from functools import partial

import pytest

from pipeline.deployment import RolloutName
from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from tests.protocol.world import Crash, World

ROLLOUTS: list[RolloutName] = ["pinned", "latest"]
both = pytest.mark.parametrize("rollout", ROLLOUTS)
RING = "replica-0:8500"
REST = ("replica-1:8500", "replica-2:8500")
SEVERAL_POLLS = 5.0
# As `World` sets it.
POLL_SECONDS = 1.0
SILENT_SECONDS = 2.0
SOAK_SECONDS = 2.0


class Notes:
    """What every replica answers and has in memory, ten times a second.

    Attributes:
        answers: the versions that traffic got, by replica; None where there was no answer.
        held: the versions that were loaded or being loaded.
        last: when a replica last answered from a version.
    """

    def __init__(self, world: World) -> None:
        self.due = world.clock.monotonic()
        self._world = world
        world.clock.add(self)
        self.answers: dict[str, set[int | None]] = {address: set() for address in world.fleet.addresses()}
        self.held: dict[str, set[int]] = {address: set() for address in world.fleet.addresses()}
        self.last: dict[tuple[str, int | None], float] = {}

    def act(self) -> None:
        self.due += 0.1
        answering = self._world.answering()
        for address, replica in self._world.fleet.replicas.items():
            self.answers[address].add(answering.get(address))
            self.last[address, answering.get(address)] = self._world.clock.monotonic()
            self.held[address].update(replica.in_memory)


def released(rollout: RolloutName, *, count: int = 1, in_ring: int = 1, first_ring: bool = True) -> World:
    """So many versions were released, and the next one is published."""
    world = World(rollout, first_ring=first_ring, in_ring=in_ring)
    for number in range(1, count + 1):
        world.approve(f"retrain-{number}")
        assert world.release(f"retrain-{number}") == "done"
    world.approve(f"retrain-{count + 1}")
    assert world.verb("publish", f"retrain-{count + 1}") == "done"
    return world


def expose_in_the_ring(world: World, version: int) -> None:
    """As a canary does that is stopped after it."""
    context = world.context(f"retrain-{version}")
    serving = world.history().state.serving
    context.journal.decide(partial(run_rules.expose, version=version, compared_with=serving, first_ring_only=True))
    context.rollout.settle()
    world.clock.sleep(SEVERAL_POLLS)


def cut_off_in_the_ring(world: World) -> None:
    """The canary of v2 ends at its first question about that."""

    def question(address: str) -> None:
        if world.history().state.candidate == 2:
            raise Crash

    world.on_question = question
    assert world.verb("canary", "retrain-2") == "crashed"
    assert world.history().state.first_ring_only
    world.on_question = lambda *_: None


def taken_back(world: World, version: int) -> Event:
    entry = world.history().of_version(version, Event.DECLINED, Event.WITHDRAWN)
    assert entry is not None
    return entry.event


def is_exposed_everywhere(world: World, version: int) -> bool:
    return world.history().of_version(version, Event.EXPOSED_EVERYWHERE) is not None


def require_the_rest_is_unharmed(notes: Notes, *, version: int = 1) -> None:
    """No user of the other replicas was without an answer or got another one, and none of them had a candidate."""
    assert {version} == set.union(*(notes.answers[address] for address in REST))
    assert max(set.union(*(notes.held[address] for address in REST))) == version
