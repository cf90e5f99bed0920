"""What a review of the first ring has found, simulated: doubled and repeated canaries, wrong files, silent servers.

The first ring is `replica-0`. Where servers poll what they should not, or the ring is hidden, nobody watches that rules
of the ring hold (`stop_watching`): the tests break them on purpose.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import StorageError
from pipeline.inspection.rollback_plan import plan
from pipeline.journal.entries import Entry, Event
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.replicas import Replicas
from pipeline.rules import holds
from pipeline.rules.readmission import readmit
from pipeline.rules.rollback import RollbackRequest
from pipeline.verbs.rollback import rollback
from tests.protocol.ringed import (
    REST,
    RING,
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
from tests.protocol.simulated import SimulatedFleet, SimulatedReplica
from tests.protocol.world import MODEL, Crash, World

with_and_without_ring = pytest.mark.parametrize("first_ring", [True, False], ids=["ring", "no-ring"])
# A few looks at the replicas, and what the verb itself takes.
A_FEW_SECONDS = 4.0


def stop_watching(world: World) -> None:
    world._is_watched = False
    world.watch.ring = None


def reason_for(world: World, version: int) -> str:
    entry = world.history().of_version(version, Event.DECLINED, Event.WITHDRAWN)
    assert entry is not None
    return entry.reason


def cut_off_after_the_exposure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary of v2 ends when all servers can find what it has exposed, before it looks at any."""
    do = world._do

    def end_after(key: str, happens: Callable[[], bool]) -> bool:
        done = do(key, happens)
        if key == layout.config(MODEL) and world.history().state.candidate == 2:
            raise Crash
        return done

    with monkeypatch.context() as patched:
        patched.setattr(world, "_do", end_after)
        assert world.verb("canary", "retrain-2") == "crashed"


def everywhere_or_all(world: World, *, first_ring: bool) -> bool:
    """Whether the candidate is exposed to every replica."""
    state = world.history().state
    return state.candidate is not None and not (first_ring and state.first_ring_only)


def with_other_source(world: World, number: int, *, first_ring: bool) -> None:
    """A server is started again that polls what the first ring should, or what all others should."""
    replica = SimulatedReplica(
        world.replicas[number].address,
        model=MODEL,
        bucket=world.bucket,
        clock=world.clock,
        latest=world.rollout == "latest",
        first_ring=first_ring,
    )
    world.replicas[number].stop()
    world.replicas[number] = world.fleet.replicas[replica.address] = replica
    assert world.fleet.first_ring is not None
    if number == 0:
        world.fleet.first_ring.replicas[replica.address] = replica
    replica.start()
    world.clock.sleep(SEVERAL_POLLS)


class TestTwin:
    """A second process of the same run is slower than its twin, which has promoted."""

    @both
    @with_and_without_ring
    @pytest.mark.parametrize("count", [0, 1], ids=["first-release", "later-release"])
    @pytest.mark.parametrize("trouble", ["silent", "ended", "ended-twice", "none"])
    def test_the_version_stays_and_serves(
        self, rollout: RolloutName, first_ring: bool, count: int, trouble: str
    ) -> None:
        version, run_key = count + 1, f"retrain-{count + 1}"
        world = released(rollout, count=count, first_ring=first_ring)
        twins: list[str] = []

        def twin(address: str) -> None:
            if twins or not everywhere_or_all(world, first_ring=first_ring):
                return
            twins.append("begun")
            twins.extend(world.verb(name, run_key) for name in ("canary", "promote"))
            world.replicas[2].hanging = trouble == "silent"
            if trouble == "ended":
                world.replicas[2].stop()
            if trouble == "ended-twice":
                for replica in world.replicas[1:]:
                    replica.stop()

        world.on_question = twin

        assert world.verb("canary", run_key) in ("done", "COULD_NOT_TELL", "DECLINED")
        assert ["begun", "done", "done"] == twins
        assert version == world.history().state.serving
        assert world.history().withdrawal(version) is None
        for replica in world.replicas[1:]:
            replica.hanging = False
            replica.restart()
        world.clock.sleep(SEVERAL_POLLS)
        assert dict.fromkeys(world.fleet.addresses(), version) == world.answering()
        world.come_to_rest()


class TestRightBeforeTheOthersWouldLoad:
    @both
    def test_a_ring_that_has_ended_keeps_the_candidate(
        self, rollout: RolloutName, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The detector for all replicas is made when the ring has passed; the server stops just before."""
        world = released(rollout)
        watch, watched = Replicas.watch_for_crashes, []

        def stop_before_the_second(replicas: Replicas, *, exposed: bool = False) -> CrashDetector:
            watched.append(replicas.is_first_ring)
            if watched == [True, False]:
                world.replicas[0].stop()
            return watch(replicas, exposed=exposed)

        monkeypatch.setattr(Replicas, "watch_for_crashes", stop_before_the_second)
        notes, before = Notes(world), world.clock.monotonic()

        assert world.verb("canary", "retrain-2") in ("DECLINED", "COULD_NOT_TELL")
        assert [True, False] == watched
        assert world.clock.monotonic() - before < SOAK_SECONDS + SILENT_SECONDS + A_FEW_SECONDS
        assert not is_exposed_everywhere(world, 2)
        assert Event.DECLINED is taken_back(world, 2)
        world.clock.sleep(SEVERAL_POLLS)
        require_the_rest_is_unharmed(notes)
        world.come_to_rest()

    @both
    def test_a_freeze_during_the_soak_keeps_the_candidate_in_the_ring(self, rollout: RolloutName) -> None:
        world = released(rollout)
        notes, frozen = Notes(world), list[Entry]()

        def freeze(address: str) -> None:
            if world.history().state.candidate == 2 and not frozen:
                now = world.clock.now()
                rule = partial(holds.freeze, until=now + timedelta(hours=5), reason="a holiday", now=now)
                frozen.append(world.context("freeze-1").journal.decide(rule).all()[-1])

        world.on_question = freeze

        assert "DECLINED" == world.verb("canary", "retrain-2")
        assert frozen
        assert not is_exposed_everywhere(world, 2)
        world.clock.sleep(SEVERAL_POLLS)
        require_the_rest_is_unharmed(notes)
        world.come_to_rest()


class TestRepeated:
    """The process of the canary has died right after the exposure, and the task runs again."""

    @both
    @with_and_without_ring
    def test_while_every_server_is_dead_is_over_soon(
        self, rollout: RolloutName, first_ring: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No server answers when the second process begins to look, so none was seen to end."""
        world = released(rollout, first_ring=first_ring)
        exposed = world.replicas[:1] if first_ring else world.replicas
        for replica in exposed:
            replica.deadly.add(2)
        cut_off_after_the_exposure(world, monkeypatch)
        world.clock.sleep(SEVERAL_POLLS)
        assert not any(replica.address in world.answering() for replica in exposed)
        before = world.clock.monotonic()

        assert world.verb("canary", "retrain-2") in ("COULD_NOT_TELL", "DECLINED")
        assert world.clock.monotonic() - before < SILENT_SECONDS + A_FEW_SECONDS - 1.0
        assert Event.DECLINED is taken_back(world, 2)
        assert not is_exposed_everywhere(world, 2)
        world.clock.sleep(SEVERAL_POLLS)
        assert dict.fromkeys(world.fleet.addresses(), 1) == world.answering()
        world.come_to_rest()

    @both
    def test_while_the_ring_is_hidden_changes_nothing(self, rollout: RolloutName) -> None:
        """As UNDERSTUDY_REPLICAS may hide it. Whoever repeats it without that goes on."""
        world = released(rollout)
        cut_off_in_the_ring(world)
        ring = world.fleet.first_ring
        world.fleet.first_ring = SimulatedFleet([], clock=world.clock, expected=0)

        assert "COULD_NOT_TELL" == world.verb("canary", "retrain-2")
        assert 2 == world.history().state.candidate
        assert not is_exposed_everywhere(world, 2)
        world.fleet.first_ring = ring
        assert "done" == world.verb("canary", "retrain-2")
        assert "done" == world.verb("promote", "retrain-2")
        world.come_to_rest()


@both
def test_a_wrong_answer_counts_before_the_silence_of_another_replica(rollout: RolloutName) -> None:
    """It says something about the candidate, and a silence says nothing for sure."""
    world = World(rollout)
    world.approve("retrain-1")
    assert world.release("retrain-1") == "done"
    world.approve("retrain-2", shift=1)
    assert world.verb("publish", "retrain-2") == "done"

    def become_silent(address: str) -> None:
        if address == REST[0] and world.history().state.candidate == 2:
            world.replicas[1].hanging = True

    world.on_question = become_silent

    assert "FAILED" == world.verb("canary", "retrain-2")
    world.replicas[1].hanging = False
    assert "done" == world.verb("withdraw", "retrain-2")
    assert Event.WITHDRAWN is taken_back(world, 2)
    assert "golden answers differ" in reason_for(world, 2)
    world.come_to_rest()


class TestServerOfTheOtherFile:
    @both
    def test_in_the_ring_says_nothing_about_the_candidate(self, rollout: RolloutName) -> None:
        """It never sees it. So the candidate is declined, and its model may be published again."""
        world = released(rollout)
        stop_watching(world)
        with_other_source(world, 0, first_ring=False)

        assert "COULD_NOT_TELL" == world.verb("canary", "retrain-2")
        assert Event.DECLINED is taken_back(world, 2)
        assert "its server does not read what the first ring should" in reason_for(world, 2)
        assert "`understudy fleet show --model digits`" in reason_for(world, 2)
        assert not is_exposed_everywhere(world, 2)
        with_other_source(world, 0, first_ring=True)
        world.approve("retrain-3", same_as="retrain-2")
        assert "done" == world.release("retrain-3")
        assert dict.fromkeys(world.fleet.addresses(), 3) == world.answering()

    @both
    def test_beyond_the_ring_has_the_candidate_too_early(self, rollout: RolloutName) -> None:
        """A former server of the ring that was not moved: known before the ring is observed, and nobody else has it."""
        world = released(rollout)
        stop_watching(world)
        with_other_source(world, 2, first_ring=True)
        before, notes = world.clock.monotonic(), Notes(world)

        assert "COULD_NOT_TELL" == world.verb("canary", "retrain-2")
        assert world.clock.monotonic() - before < A_FEW_SECONDS
        assert Event.DECLINED is taken_back(world, 2)
        assert f"{REST[1]}: it has v2, and is not in the first ring" in reason_for(world, 2)
        assert RING not in reason_for(world, 2)
        assert not is_exposed_everywhere(world, 2)
        world.clock.sleep(SEVERAL_POLLS)
        assert {1} == notes.held[REST[0]]


def test_an_end_before_the_model_was_readmitted_does_not_count() -> None:
    """A person has found another cause, so it takes two more ends to withdraw it again."""
    world = released("pinned")
    ring = world.replicas[0]
    ring.deadly.update({2, 3, 4, 5})
    for number, ended, event in [(2, "DECLINED", Event.DECLINED), (3, "FAILED", Event.WITHDRAWN)]:
        end_a_server(world, number, ended=ended, event=event)
    stop_watching(world)  # it knows nothing of readmissions
    world.context("readmit-1").journal.decide(partial(readmit, version=3, reason="the machine was broken"))

    for number, ended, event in [(4, "DECLINED", Event.DECLINED), (5, "FAILED", Event.WITHDRAWN)]:
        end_a_server(world, number, ended=ended, event=event)


def end_a_server(world: World, number: int, *, ended: str, event: Event) -> None:
    """A run releases the model of retrain-2, which ends a server of the ring."""
    run_key = f"retrain-{number}"
    if number > 2:
        world.approve(run_key, same_as="retrain-2")
        assert "done" == world.verb("publish", run_key)
    assert ended == world.verb("canary", run_key)
    assert event is taken_back(world, number)
    world.clock.sleep(SEVERAL_POLLS)


class TestRollBackInLatest:
    def test_that_concerns_the_ring_alone_says_so_before(self) -> None:
        world = released("latest", count=2)
        expose_in_the_ring(world, 3)
        request = RollbackRequest("rollback-1", "previous", "it is bad", world.history().seq)
        target, words = plan(world.context("rollback-1"), request)

        assert 2 == target
        assert f"the first ring ({RING}) finds it within one poll and loads it" in words
        assert "All other replicas answer from it already" in words

    def test_of_all_replicas_says_so_before(self) -> None:
        world = released("latest", count=2)
        request = RollbackRequest("rollback-1", "previous", "it is bad", world.history().seq)

        assert "every replica finds it within one poll" in plan(world.context("rollback-1"), request)[1]

    @pytest.mark.parametrize("ahead", [50, 1])
    def test_moves_the_others_where_a_folder_of_the_ring_is_not_in_the_journal(self, ahead: int) -> None:
        """The servers of the ring load the highest number, and nobody knows what that is; the others must not wait."""
        world = released("latest", count=2)
        stop_watching(world)
        stray = f"{layout.first_ring_versions(MODEL)}/{world.history().state.next_version + ahead}"
        world.bucket.create(f"{stray}/saved_model.pb", b"who made this?")
        context = world.context("rollback-1")
        request = RollbackRequest("rollback-1", "previous", "it is bad", world.history().seq)

        with pytest.raises(StorageError, match="which are not in the journal"):
            rollback(context, request)
        serving = world.history().state.serving
        assert world.history().is_same_model(serving, 1)
        world.clock.sleep(SEVERAL_POLLS)
        assert [serving] * 2 == [world.answering()[address] for address in REST]
        assert serving not in world.loaded()[RING]

    def test_is_not_written_where_a_folder_of_the_others_is_not_in_the_journal(self) -> None:
        world = released("latest", count=2)
        stop_watching(world)
        stray = f"{layout.versions(MODEL)}/{world.history().state.next_version}"
        world.bucket.create(f"{stray}/saved_model.pb", b"who made this?")
        seen = world.history().seq

        with pytest.raises(StorageError, match="Until then no command changes what serves"):
            rollback(world.context("rollback-1"), RollbackRequest("rollback-1", "previous", "it is bad", seen))
        assert seen == world.history().seq
