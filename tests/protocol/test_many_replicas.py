"""A release and a roll-back over 500 simulated replicas, of which some are late and one restarts."""

from pipeline.deployment import RolloutName
from pipeline.runs.records import PromoteRecord
from serving.errors import DiscoveryError
from tests.hunts import hunt
from tests.protocol.world import REPLICAS, World

COUNT = 500


def world_of(count: int, rollout: RolloutName = "pinned") -> World:
    """A world whose fleet has so many replicas."""
    world = World(rollout)
    for number in range(REPLICAS, count):
        replica = world.replica_elsewhere(number)
        world.replicas.append(replica)
        world.fleet.replicas[replica.address] = replica
        replica.start()
    world.fleet.expected = count
    return world


@hunt
def test_500_replicas_are_proven_promoted_and_rolled_back() -> None:
    """Each of them is asked, though some see the config late, and one restarts while others are asked."""
    world = world_of(COUNT)
    world.approve("retrain-1")
    assert "done" == world.release("retrain-1")
    world.approve("retrain-2")
    assert "done" == world.verb("publish", "retrain-2")
    late, restarting = world.replicas[7::100], world.replicas[13]
    for replica in late:
        replica.sleep()

    def happens(address: str) -> None:
        if address == world.replicas[-1].address:
            world.on_question = lambda *_: None
            restarting.restart()

    world.on_question = happens
    world.clock.add(_Waking(world.clock.monotonic() + 2.0, late))
    world.asked.clear()

    assert "done" == world.verb("canary", "retrain-2")
    assert {replica.address for replica in world.replicas} == world.asked
    assert "done" == world.verb("promote", "retrain-2")
    assert COUNT == len(world.context("retrain-2").records.require(PromoteRecord).replicas)
    assert dict.fromkeys(world.fleet.addresses(), 2) == world.answering()
    assert "done" == world.roll_back("previous", run_key="rollback-1", seen=world.history().seq)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()


class _Waking:
    """Replicas see what is written from a moment on."""

    def __init__(self, due: float, replicas: list) -> None:  # type: ignore[type-arg]
        self.due = due
        self._replicas = replicas

    def act(self) -> None:
        self.due = float("inf")
        for replica in self._replicas:
            replica.wake()


def released(rollout: RolloutName = "pinned") -> World:
    world = World(rollout)
    for run_key in ("retrain-1", "retrain-2"):
        world.approve(run_key)
        assert "done" == world.release(run_key)
    return world


def test_a_fleet_with_too_few_addresses_is_refused_before_a_candidate_is_exposed() -> None:
    """F32: one virtual address in front of three replicas; nothing is changed."""
    world = released()
    world.approve("retrain-3")
    assert "done" == world.verb("publish", "retrain-3")
    before = world.history().seq
    hidden = [world.fleet.replicas.pop(replica.address) for replica in world.replicas[1:]]

    assert "COULD_NOT_TELL" == world.verb("canary", "retrain-3")
    assert before == world.history().seq
    world.fleet.replicas |= {replica.address: replica for replica in hidden}
    assert "done" == world.verb("canary", "retrain-3")


def test_a_roll_back_moves_the_label_though_discovery_fails() -> None:
    """It cannot tell who has followed, but the replicas find what it has written."""
    world = released()

    def fails() -> list[str]:
        raise DiscoveryError("dns://replicas:8500 has no answer")

    discover = world.fleet.addresses
    world.fleet.addresses = fails  # type: ignore[method-assign]
    assert "COULD_NOT_TELL" == world.roll_back("previous", run_key="rollback-1", seen=world.history().seq)
    world.fleet.addresses = discover  # type: ignore[method-assign]
    world.clock.sleep(3.0)

    assert 1 == world.history().state.serving
    assert 2 == world.history().state.leaving, "who answers from it may still need it"
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()
