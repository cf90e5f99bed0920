"""A candidate is proven in the first ring before other replicas have it; simulated, so that it is exact.

The first ring is `replica-0`. What each server answers and holds is noted ten times a second.
"""

from datetime import datetime

import pytest

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import StorageError
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Event
from pipeline.journal.state import Refused
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord
from tests.hunts import hunt_cases
from tests.protocol.ringed import (
    POLL_SECONDS,
    REST,
    RING,
    ROLLOUTS,
    SEVERAL_POLLS,
    SILENT_SECONDS,
    SOAK_SECONDS,
    Notes,
    both,
    cut_off_in_the_ring,
    expose_in_the_ring,
    is_exposed_everywhere,
    released,
    require_the_rest_is_unharmed,
    taken_back,
)
from tests.protocol.world import MODEL, PASS, Crash, Fate, Interruption, World


def rendered_entries(world: World) -> list[int | None]:
    """Those that the configs name: of the first ring, and of all others."""
    keys = layout.first_ring_config(MODEL), layout.config(MODEL)
    return [rendered_entry(world.bucket.read(key).decode()) for key in keys]


def _seconds(world: World, at: datetime) -> float:
    """A moment of the journal, by the clock of the world."""
    return world.clock.monotonic() - (world.clock.now() - at).total_seconds()


def lose_entry(world: World, seq: int) -> None:
    del world.bucket._objects[layout.entry(MODEL, seq)]


@both
def test_only_the_ring_loads_a_candidate_that_ends_its_server(rollout: RolloutName) -> None:
    """It is taken back within seconds, one process has ended, and nobody else has noticed anything."""
    world = released(rollout)
    ring = world.replicas[0]
    ring.faults.deadly.add(2)
    notes, before = Notes(world), world.clock.monotonic()

    assert "DECLINED" == world.verb("canary", "retrain-2")
    assert world.clock.monotonic() - before < 3.0
    assert Event.DECLINED is taken_back(world, 2)
    world.clock.sleep(SEVERAL_POLLS)
    assert {2: 1} == ring.faults.ended
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    require_the_rest_is_unharmed(notes)
    world.come_to_rest()


@both
def test_one_end_is_enough_in_a_ring_of_several(rollout: RolloutName) -> None:
    """The others of the ring are well and go on answering."""
    world = released(rollout, in_ring=2)
    world.replicas[1].faults.deadly.add(2)
    before = world.clock.monotonic()

    assert "DECLINED" == world.verb("canary", "retrain-2")
    assert world.clock.monotonic() - before < 3.0
    assert not is_exposed_everywhere(world, 2)
    world.clock.sleep(SEVERAL_POLLS)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()


@both
def test_a_model_that_ended_one_server_may_be_released_by_a_new_run(rollout: RolloutName) -> None:
    """The machine may have been the reason."""
    world = released(rollout)
    world.replicas[0].faults.deadly.add(2)
    assert world.verb("canary", "retrain-2") == "DECLINED"
    world.clock.sleep(SEVERAL_POLLS)
    world.approve("retrain-3", same_as="retrain-2")

    assert "done" == world.release("retrain-3")
    assert dict.fromkeys(world.fleet.addresses(), 3) == world.answering()
    world.come_to_rest()


@both
def test_a_model_that_ends_a_second_server_is_withdrawn(rollout: RolloutName) -> None:
    """Then no run can publish it any more."""
    world = released(rollout)
    world.replicas[0].faults.deadly.update({2, 3})
    assert world.verb("canary", "retrain-2") == "DECLINED"
    world.clock.sleep(SEVERAL_POLLS)
    world.approve("retrain-3", same_as="retrain-2")
    assert world.verb("publish", "retrain-3") == "done"

    assert "FAILED" == world.verb("canary", "retrain-3")
    assert Event.WITHDRAWN is taken_back(world, 3)
    world.approve("retrain-4", same_as="retrain-2")
    assert "FAILED" == world.verb("publish", "retrain-4")
    world.come_to_rest()


@both
def test_a_candidate_that_ends_its_server_after_some_answers_does_not_leave_the_ring(
    rollout: RolloutName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes the first questions, and is asked again after the soak."""
    world = released(rollout)
    answers = answers_in_the_ring(rollout, monkeypatch)
    assert answers % 2 == 0
    world.replicas[0].faults.deadly_answers[2] = answers // 2 + 1
    notes, before = Notes(world), world.clock.monotonic()

    assert "DECLINED" == world.verb("canary", "retrain-2")
    assert world.clock.monotonic() - before > SOAK_SECONDS
    assert not is_exposed_everywhere(world, 2)
    world.clock.sleep(SEVERAL_POLLS)
    require_the_rest_is_unharmed(notes)
    world.come_to_rest()


def answers_in_the_ring(rollout: RolloutName, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many answers the ring gives from a candidate until it is exposed everywhere."""
    world = released(rollout)
    ring = world.watch.ring
    assert ring is not None
    answers: list[int] = []
    answered = ring.answered

    def note(address: str, version: int) -> None:
        if not is_exposed_everywhere(world, 2):
            answers.append(version)
        answered(address, version)

    monkeypatch.setattr(ring, "answered", note)
    assert world.verb("canary", "retrain-2") == "done"
    return answers.count(2)


@both
def test_a_candidate_that_makes_the_ring_silent_is_taken_back_soon(rollout: RolloutName) -> None:
    """Its users have no answer, so nobody waits as long as for a load; and a silence says nothing for sure."""
    world = released(rollout)
    world.replicas[0].faults.hangs.add(2)
    notes = Notes(world)

    assert "COULD_NOT_TELL" == world.verb("canary", "retrain-2")
    exposed, back = world.history().of_version(2, Event.EXPOSED), world.history().of_version(2, Event.DECLINED)
    assert exposed is not None
    assert back is not None
    assert (back.at - exposed.at).total_seconds() < SILENT_SECONDS + 4.0
    world.clock.sleep(SEVERAL_POLLS)
    require_the_rest_is_unharmed(notes)
    assert RING not in world.answering()
    world.replicas[0].restart()
    world.clock.sleep(SEVERAL_POLLS)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()


@both
def test_a_candidate_that_loads_for_too_long_does_not_leave_the_ring(rollout: RolloutName) -> None:
    world = released(rollout)
    world.approve("retrain-3", load_seconds=30.0)
    notes = Notes(world)

    assert "FAILED" == world.release("retrain-3")
    assert Event.WITHDRAWN is taken_back(world, 3)
    for address in world.fleet.addresses():
        assert None not in notes.answers[address]
        # In the latest roll-out what serves gets a new number, so that the server of the ring loads that next.
        assert all(world.history().is_same_model(version, 1) for version in notes.answers[address])
    assert not any(3 in notes.held[address] for address in REST)
    world.clock.sleep(60.0)
    world.come_to_rest()


@both
@pytest.mark.parametrize("fate", hunt_cases([Fate.CRASH_BEFORE, Fate.CRASH_AFTER], in_make_test=[Fate.CRASH_AFTER]))
def test_the_next_verb_completes_what_a_verb_has_left_between_the_two_configs(rollout: RolloutName, fate: Fate) -> None:
    """Wherever a canary stops, both configs name the last entry afterwards."""
    torn = 0
    for at in range(1, 100):
        world = released(rollout)
        if world.verb("canary", "retrain-2", Interruption(at, fate)) == "done":
            break
        found = rendered_entries(world)
        torn += found[0] != found[1]
        world.approve("retrain-3")

        assert "done" == world.verb("publish", "retrain-3")
        assert [world.history().seq] * 2 == rendered_entries(world)
        world.come_to_rest()
    assert torn >= 2


@both
@pytest.mark.parametrize("ahead", [layout.config(MODEL), layout.first_ring_config(MODEL)])
def test_the_higher_number_of_both_configs_is_the_evidence_for_lost_entries(rollout: RolloutName, ahead: str) -> None:
    world = released(rollout)
    configs = {key: world.bucket.read(key) for key in (layout.config(MODEL), layout.first_ring_config(MODEL))}
    expose_in_the_ring(world, 2)
    lose_entry(world, world.history().seq)
    behind = next(key for key in configs if key != ahead)
    world.watch.broken = True  # nobody checks what is broken on purpose
    world._is_watched = False
    assert world.bucket.replace(behind, configs[behind], instead_of=world.bucket.read(behind))
    before = dict(world.bucket._objects)

    with pytest.raises(StorageError, match="the journal ends at"):
        world.context("retrain-2").rollout.settle()
    assert before == world.bucket._objects


def test_a_roll_back_to_previous_moves_the_others_at_once_while_the_ring_holds_a_candidate() -> None:
    """The ring has the candidate in the place of `previous`: it answers from what served until it has loaded that."""
    world = released("pinned", count=2)
    expose_in_the_ring(world, 3)
    notes, seen = Notes(world), world.history().seq

    assert "done" == world.roll_back("previous", run_key="rollback-1", seen=seen)
    world.clock.sleep(SEVERAL_POLLS)
    moved = world.history().of_version(1, Event.ROLLED_BACK)
    assert moved is not None
    assert moved.seq == seen + 1, "it was not exposed first"
    for address in world.fleet.addresses():
        assert {2, 1} == notes.answers[address], "nobody was without an answer"
    assert {1, 2, 3} == notes.held[RING]
    assert {1, 2} == set.union(*(notes.held[address] for address in REST))
    late = {address: notes.last[address, 2] - _seconds(world, moved.at) for address in world.fleet.addresses()}
    assert max(late[address] for address in REST) <= POLL_SECONDS
    assert late[RING] > POLL_SECONDS
    world.come_to_rest()


def test_a_roll_back_to_previous_in_latest_takes_the_candidate_from_the_ring_alone() -> None:
    """Users of the ring saw it, so what served before it is what all others answer from."""
    world = released("latest", count=2)
    expose_in_the_ring(world, 3)
    assert {RING: 3, **dict.fromkeys(REST, 2)} == world.answering()
    notes = Notes(world)

    assert "done" == world.roll_back("previous", run_key="rollback-1", seen=world.history().seq)
    assert dict.fromkeys(world.fleet.addresses(), 2) == world.answering()
    require_the_rest_is_unharmed(notes, version=2)
    assert Event.WITHDRAWN is taken_back(world, 3)
    world.come_to_rest()


def test_a_newer_candidate_displaces_one_that_was_exposed_everywhere_and_abandoned() -> None:
    """In the latest roll-out what serves must answer before a candidate is exposed, so nothing displaces one there."""
    world = released("pinned")
    assert world.verb("canary", "retrain-2") == "done"
    world.approve("retrain-3")
    assert world.verb("publish", "retrain-3") == "done"

    assert "done" == world.verb("canary", "retrain-3")
    assert 3 == world.history().state.candidate
    assert is_exposed_everywhere(world, 3)
    assert "DECLINED" == world.verb("promote", "retrain-2")
    assert "done" == world.verb("promote", "retrain-3")
    assert dict.fromkeys(world.fleet.addresses(), 3) == world.answering()
    world.come_to_rest()


@both
def test_a_candidate_of_a_ring_that_the_fleet_does_not_have_any_more_is_proven_everywhere(
    rollout: RolloutName,
) -> None:
    """The server that polls the config of the first ring still finds what it needs there."""
    world = released(rollout)
    cut_off_in_the_ring(world)
    records = FleetRecords(world.bucket, MODEL)
    newest = records.newest()
    assert newest is not None
    fleet = FleetSpec.model_validate(newest.fleet.model_dump() | {"first_ring": None})
    record = FleetRecord(number=2, at=world.clock.now(), actor="ann", reason="a test", fleet=fleet)
    assert records.create(record)
    world.fleet.first_ring, world.watch.ring = None, None

    assert "done" == world.verb("canary", "retrain-2")
    entry = world.history().of_version(2, Event.EXPOSED_EVERYWHERE)
    assert entry is not None
    assert entry.verdict is None
    assert entry.reason == "the fleet has no first ring any more"
    assert "done" == world.verb("promote", "retrain-2")
    world.come_to_rest()


@both
def test_reconcile_leaves_a_ring_alone_that_tests_a_candidate(rollout: RolloutName) -> None:
    """In the latest roll-out the ring answers from the candidate meanwhile, and that is no fault."""
    world = released(rollout)
    cut_off_in_the_ring(world)
    world.clock.sleep(SEVERAL_POLLS)

    assert "done" == world.reconcile()
    assert 2 == world.history().state.candidate
    assert "done" == world.verb("canary", "retrain-2")
    world.come_to_rest()


@both
def test_what_only_the_ring_has_is_not_promoted(rollout: RolloutName) -> None:
    """Whatever the records of its run say."""
    world = released(rollout)
    expose_in_the_ring(world, 2)
    world.context("retrain-2").records.finish(CanaryRecord(version=2, verdict=PASS, load_seconds=0.1))

    with pytest.raises(Refused, match="exposed to the first ring only, so it cannot be promoted"):
        run_rules.promote(world.history(), version=2, compared_with=1, verdict=PASS)
    assert "DECLINED" == world.verb("promote", "retrain-2")
    assert 1 == world.history().state.serving
    world.clock.sleep(SEVERAL_POLLS)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()


@pytest.mark.parametrize("rollout", hunt_cases(ROLLOUTS, in_make_test=["pinned"]))
def test_a_canary_that_was_cut_off_at_any_effect_can_be_repeated(rollout: RolloutName) -> None:
    for at in range(1, 100):
        world = released(rollout)
        if world.verb("canary", "retrain-2", Interruption(at, Fate.CRASH_AFTER)) == "done":
            break

        assert "done" == world.verb("canary", "retrain-2")
        assert is_exposed_everywhere(world, 2)
        assert "done" == world.verb("promote", "retrain-2")
    assert at > 3
    world.come_to_rest()


@pytest.mark.parametrize("rollout", hunt_cases(ROLLOUTS, in_make_test=["latest"]))
def test_a_canary_that_was_cut_off_at_any_question_can_be_repeated(rollout: RolloutName) -> None:
    """In the first ring, after the soak, and on the other replicas."""
    phases = set()
    for at in range(1, 1000, 2):
        world = released(rollout)
        left = [at]

        def question(address: str, world: World = world, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Crash

        world.on_question = question
        if world.verb("canary", "retrain-2") == "done":
            break
        world.on_question = lambda *_: None
        phases.add((world.history().state.candidate, world.history().state.first_ring_only))

        assert "done" == world.verb("canary", "retrain-2")
        assert is_exposed_everywhere(world, 2)
    assert {(2, True), (2, False)} <= phases


def test_in_latest_only_the_ring_answers_from_a_candidate_until_it_has_passed_there() -> None:
    world = released("latest")
    notes = Notes(world)
    asked: set[str] = set()

    def question(address: str) -> None:
        state = world.history().state
        if state.candidate == 2 and state.first_ring_only:
            require_the_rest_is_unharmed(notes)
            asked.add(address)

    world.on_question = question

    assert "done" == world.verb("canary", "retrain-2")
    assert {RING} == asked
    assert dict.fromkeys(world.fleet.addresses(), 2) == world.answering()
    world.come_to_rest()


@both
def test_the_first_release_of_all_begins_in_the_ring(rollout: RolloutName) -> None:
    """Nothing serves yet; in the latest roll-out the other servers have not even opened their ports."""
    world = World(rollout, first_ring=True)
    world.approve("retrain-1")
    notes = Notes(world)
    held: list[set[int]] = []

    def question(address: str) -> None:
        if world.history().state.first_ring_only:
            held.append(set.union(*(notes.held[each] for each in REST)))

    world.on_question = question

    assert "done" == world.release("retrain-1")
    assert held
    assert set() == set.union(*held)
    assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
    world.come_to_rest()


@both
def test_a_fleet_without_a_ring_works_as_before(rollout: RolloutName) -> None:
    """The same entries, no second config or base path, and nothing new in what is stored."""
    world = World(rollout)
    world.approve("retrain-1")

    assert "done" == world.release("retrain-1")
    events = [entry.event for entry in world.history().all()]
    assert [Event.CLAIMED, Event.PUBLISHED, Event.EXPOSED, Event.PROMOTED, Event.CONFIRMED] == events
    assert [] == world.bucket.names("first_ring")
    assert b"first_ring" not in b"".join(world.bucket.read(layout.entry(MODEL, seq)) for seq in range(1, 6))
    world.come_to_rest()
