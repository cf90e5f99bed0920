"""A replica that has missed an expose refuses every later config until it is healed; simulated, so that it is exact."""

from collections.abc import Iterator

import pytest

from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from pipeline.runs.records import PromoteRecord
from pipeline.verbs.reconcile import reconcile
from serving.replica import STABLE
from tests.protocol.simulated import SimulatedReplica
from tests.protocol.versions import NEVER
from tests.protocol.world import MODEL, PASS, World

# Longer than a replica takes that can follow by itself.
SEVERAL_POLLS = 5.0


class User:
    """Asks one replica, ten times a second, which version the label answers."""

    def __init__(self, world: World, replica: SimulatedReplica) -> None:
        self.due = world.clock.monotonic()
        self.answers: set[int | None] = set()
        self._world = world
        self._replica = replica
        world.clock.add(self)

    def act(self) -> None:
        self.due += 0.1
        with self._world.fleet.connect(self._replica.address, timeout=1.0) as connection:
            self.answers.add(connection.version_behind(MODEL, STABLE))

    def leave(self) -> None:
        self.due = NEVER


@pytest.fixture
def world() -> Iterator[World]:
    """v1 serves, and v2 is proven on every replica."""
    made = World()
    made.approve("retrain-1")
    assert made.release("retrain-1") == "done"
    made.approve("retrain-2")
    for verb in ("publish", "canary"):
        assert made.verb(verb, "retrain-2") == "done"
    yield made
    made.come_to_rest()


def fall_behind(world: World) -> SimulatedReplica:
    """A replica comes back with the config from before v2 was exposed, and sees no newer one until it wakes."""
    exposed = world.history().of_version(2, Event.EXPOSED)
    assert exposed is not None
    sleeper = world.replicas[1]
    sleeper.sleep(seeing=world.placement.rendered(world.history().until(exposed.seq - 1)).encode())
    sleeper.restart()
    world.clock.sleep(SEVERAL_POLLS)
    return sleeper


def wake(world: World, sleeper: SimulatedReplica) -> User:
    """It sees the config of now, and stays behind all the same. Returns a user who sends it requests."""
    sleeper.wake()
    world.clock.sleep(SEVERAL_POLLS)
    assert {**dict.fromkeys(world.fleet.addresses(), 2), sleeper.address: 1} == world.answering()
    return User(world, sleeper)


def test_a_promotion_heals_it_and_its_users_are_answered_all_the_while(world: World) -> None:
    sleeper = fall_behind(world)
    context = world.context("retrain-2")
    context.journal.decide(lambda h: run_rules.promote(h, version=2, compared_with=1, verdict=PASS))
    context.rollout.settle()
    user = wake(world, sleeper)

    assert "done" == world.verb("promote", "retrain-2")
    world.clock.sleep(SEVERAL_POLLS)
    user.leave()
    assert world.fleet.addresses() == world.context("retrain-2").records.require(PromoteRecord).replicas
    assert dict.fromkeys(world.fleet.addresses(), 2) == world.answering()
    assert {1, 2} == user.answers


def test_reconcile_heals_it_also_when_nothing_else_is_wrong(world: World) -> None:
    """I3: at rest every replica serves what the journal says."""
    assert "done" == world.verb("promote", "retrain-2")
    before = world.history().seq
    user = wake(world, fall_behind(world))

    found = reconcile(world.context("reconcile-1"))
    world.clock.sleep(SEVERAL_POLLS)
    user.leave()
    assert [] == found.problems
    assert f"{world.replicas[1].address} answers from v2 now" in found.repaired
    assert dict.fromkeys(world.fleet.addresses(), 2) == world.answering()
    assert {1, 2} == user.answers
    assert before == world.history().seq
