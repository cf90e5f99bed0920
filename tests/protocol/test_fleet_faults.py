"""Replicas that are late, flap, come, go and restart while a version is proven; simulated, so that it is exact."""

from collections.abc import Iterator

import pytest

from pipeline.deployment import RolloutName
from pipeline.journal.entries import Event
from tests.protocol.world import MODEL, World


@pytest.fixture
def world() -> Iterator[World]:
    made = released("pinned")
    yield made
    made.come_to_rest()


def released(rollout: RolloutName) -> World:
    """v1 serves everywhere, and v2 is published."""
    made = World(rollout)
    made.approve("retrain-1")
    assert made.release("retrain-1") == "done"
    made.approve("retrain-2")
    assert made.verb("publish", "retrain-2") == "done"
    return made


def canary(world: World) -> str:
    return world.verb("canary", "retrain-2")


def reasons(world: World) -> str:
    verdict = world.context("retrain-2").records.last_attempt()
    return str(verdict)


def promoted(world: World, version: int) -> bool:
    return world.history().of_version(version, Event.PROMOTED) is not None


def test_a_replica_stuck_on_the_old_version_fails_the_canary(world: World) -> None:
    """F26: it answers, and never from the new version; that is waited for, and then never called a success."""
    world.replicas[1].sleep()
    before = world.clock.monotonic()

    assert "FAILED" == canary(world)
    assert "replica-1:8500: v2 not seen yet" in reasons(world)
    assert world.clock.monotonic() - before > 6.0
    assert "done" == world.verb("withdraw", "retrain-2")
    assert not promoted(world, 2)


def test_a_replica_that_flaps_while_it_is_questioned_fails_the_canary(world: World) -> None:
    """F27: it had the version when it was waited for and lost it when it was asked; one good round is no proof."""
    flapping = world.replicas[1]

    def restarts_on_the_old_config(address: str) -> None:
        if address == flapping.address and world.history().state.candidate == 2:
            flapping.restart()

    world.on_question = restarts_on_the_old_config

    assert "done" != canary(world)
    assert "replica-1:8500" in reasons(world)
    assert not promoted(world, 2)


def test_a_replica_that_comes_while_others_are_questioned_is_asked_too(world: World) -> None:
    """F28: the set must hold still, and the newcomer must pass as well."""
    newcomer = world.replica_elsewhere(3)

    def comes(address: str) -> None:
        if address == world.replicas[0].address and newcomer.address not in world.fleet.replicas:
            world.fleet.replicas[newcomer.address] = newcomer
            newcomer.start()

    world.on_question = comes

    assert "done" == canary(world)
    assert newcomer.address in world.asked


def test_a_bad_newcomer_fails_the_canary(world: World) -> None:
    """F28: the same, and it cannot load the version: its server gives up at every start and answers nothing."""
    newcomer = world.replica_elsewhere(3)
    newcomer.broken.add(2)

    def comes(address: str) -> None:
        if address == world.replicas[0].address and newcomer.address not in world.fleet.replicas:
            world.fleet.replicas[newcomer.address] = newcomer
            newcomer.start()

    world.on_question = comes

    assert "COULD_NOT_TELL" == canary(world)
    assert newcomer.address in reasons(world)
    newcomer.broken.clear()


def test_a_replica_that_is_replaced_meanwhile_is_not_missed(world: World) -> None:
    """F29: its address is gone and another stands in for it; the one that stands in is asked."""
    gone, newcomer = world.replicas[2], world.replica_elsewhere(3)

    def is_replaced(address: str) -> None:
        if address == world.replicas[0].address and gone.address in world.fleet.replicas:
            gone.stop()
            del world.fleet.replicas[gone.address]
            world.fleet.replicas[newcomer.address] = newcomer
            newcomer.start()

    world.on_question = is_replaced

    assert "done" == canary(world)
    assert newcomer.address in world.asked
    world.replicas[2] = newcomer


def test_a_replica_that_goes_for_good_leaves_too_few(world: World) -> None:
    """F29: gone and not replaced is fewer than expected, and fewer than expected is not known to be good."""
    gone = world.replicas[2]

    def goes(address: str) -> None:
        if address == world.replicas[0].address:
            gone.stop()
            world.fleet.replicas.pop(gone.address, None)

    world.on_question = goes

    assert "COULD_NOT_TELL" == canary(world)
    assert "only 2 of 3 replicas are listed" in reasons(world)
    world.fleet.replicas[gone.address] = gone


def test_a_replica_that_cannot_load_the_candidate_ends_the_canary_at_once(world: World) -> None:
    """It will not try again, so nobody waits until the deadline."""
    world.replicas[0].broken.add(2)
    before = world.clock.monotonic()

    assert "FAILED" == canary(world)
    assert world.clock.monotonic() - before < 4.0
    assert "replica-0:8500: v2 END" in reasons(world)
    assert "done" == world.verb("withdraw", "retrain-2")


@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_a_candidate_that_ends_the_servers_that_load_it_is_taken_back_at_once(rollout: RolloutName) -> None:
    """F75: nobody waits for a deadline while every server that starts loads it again; no config names it any more."""
    world = released(rollout)
    for replica in world.replicas:
        replica.deadly.add(2)
    before = world.clock.monotonic()

    assert "FAILED" == canary(world)
    assert world.clock.monotonic() - before < 3.0
    assert "its server process has stopped once since servers began to load the candidate" in reasons(world)
    assert world.history().withdrawal(2) is not None
    world.clock.sleep(5.0)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    assert "FAILED" == canary(world)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()


def test_two_of_three_servers_that_end_are_enough(world: World) -> None:
    """F75: though the third is well."""
    for replica in world.replicas[1:]:
        replica.deadly.add(2)
    before = world.clock.monotonic()

    assert "FAILED" == canary(world)
    assert world.clock.monotonic() - before < 3.0
    world.clock.sleep(5.0)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()


def test_one_of_three_servers_that_does_not_come_back_is_waited_for(world: World) -> None:
    """It ends at each of its starts before it opens its port; the others are well, and it may be its machine."""
    world.replicas[2].deadly.add(2)

    assert "COULD_NOT_TELL" == canary(world)
    assert "done" == world.verb("withdraw", "retrain-2")
    world.clock.sleep(5.0)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()


def test_one_end_may_be_the_machine_s_fault(world: World) -> None:
    """A server that was killed once and loads the candidate at its next start says nothing against it."""
    killed: list[str] = []

    def is_killed(address: str) -> None:
        if not killed and address == world.replicas[0].address:
            killed.append(address)
            world.replicas[2].restart()
            world.clock.sleep(1.0)

    world.on_question = is_killed

    assert "done" == canary(world)
    assert killed


def test_a_candidate_that_ends_servers_when_it_is_asked_ends_no_more_than_two(world: World) -> None:
    """F75: it loads well; the canary's own questions kill, and it asks nobody else."""
    killed: list[str] = []

    def kills(address: str) -> None:
        if address not in killed and world.history().state.candidate == 2:
            killed.append(address)
            world.replicas[int(address.partition(":")[0][-1])].stop()

    world.on_question = kills

    assert "FAILED" == canary(world)
    assert 2 == len(killed)
    assert world.history().withdrawal(2) is not None


def test_servers_that_restart_before_the_exposure_are_no_evidence() -> None:
    """In the latest roll-out the whole fleet is asked about what serves before the candidate is exposed."""
    world = released("latest")

    def restarts(address: str) -> None:
        if address == world.replicas[2].address and world.history().state.candidate is None:
            for replica in world.replicas[:2]:
                replica.restart()
            world.on_question = lambda *_: None

    world.on_question = restarts

    assert "done" == canary(world)
    world.come_to_rest()


def test_a_replica_that_is_slow_to_answer_has_not_ended(world: World) -> None:
    """F54: silence is no evidence."""
    world.replicas[1].hanging = world.replicas[2].hanging = True

    assert "COULD_NOT_TELL" == canary(world)
    assert world.history().withdrawal(2) is None
    world.replicas[1].hanging = world.replicas[2].hanging = False


def test_a_replica_that_restarts_on_a_version_it_cannot_load_comes_up_once_that_is_withdrawn(world: World) -> None:
    """F51: a server that cannot load what its config names gives up at its start; the bad version leaves the config."""
    for replica in world.replicas:
        replica.broken.add(2)
    assert "FAILED" == canary(world)
    world.replicas[0].restart()
    world.clock.sleep(3.0)
    world.verb("withdraw", "retrain-2")
    world.clock.sleep(5.0)

    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    assert world.history().withdrawal(2) is not None
    assert f'name: "{MODEL}"' in world.bucket.read(f"serve/{MODEL}.config").decode()
