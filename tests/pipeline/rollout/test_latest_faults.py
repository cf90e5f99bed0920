"""The latest roll-out where the disk is full, files are lost or forged, a colleague is slow, or a promotion stopped."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import google_crc32c
import pytest

from pipeline import layout
from pipeline.context import RunContext, make_run_context, open_ports
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FailedError, StorageError
from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from pipeline.rules.retention import RetentionDecision
from pipeline.runs.records import BaselineRecord, RollbackRecord
from pipeline.spec import RetentionPolicy
from pipeline.storage.bucket import Still
from pipeline.storage.local import LocalBucket
from pipeline.storage.sums import MARK, FileSum
from pipeline.verbs.pin import pin
from pipeline.verbs.reconcile import Repairs, reconcile
from pipeline.verbs.retain import retain
from pipeline.verbs.rollback import request_for, rollback
from pipeline.verbs.status import status
from tests.fleet import POLL_SECONDS
from tests.half_way import HOURS, begin_roll_back, coming, registry
from tests.mlflow_registry import MlflowRegistry
from tests.pipeline.journal.test_journal import PASS
from tests.pipeline.rollout.test_latest import found
from tests.pipeline.signing.test_signatures import with_crc32c
from tests.pipeline.storage.on_full_disk import ROOM, limited
from tests.released import start_released
from tests.releases import MODEL, World, eventually
from tests.signing import manifest, pair

EVERYTHING = RetentionPolicy(keep=0, days=0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A bucket and two replicas that poll the model's base path."""
    made = World(tmp_path, rollout="latest")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def mlflow() -> MlflowRegistry:
    return registry()


class Watched(LocalBucket):
    """A disk where a test acts right before the versions are listed or one is put there, or after one has gone."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before_listing: Callable[[], object] = lambda: None
        self.before_copy: Callable[[str], object] = lambda _: None
        self.after_removal: Callable[[str], object] = lambda _: None

    def names(self, key: str, *, after: str = "") -> list[str]:
        if key == layout.versions(MODEL):
            self.before_listing()
        return super().names(key, after=after)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        self.before_copy(key)
        return super().copy(source, key, expected=expected, still=still)

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        gone = super().remove(key, still=still)
        self.after_removal(key)
        return gone


def through(world: World, bucket: LocalBucket, run_key: str) -> RunContext:
    settings = world.context(run_key).settings
    return make_run_context(settings, model=MODEL, run_key=run_key, ports=replace(open_ports(settings), bucket=bucket))


def roll_back_in(context: RunContext, to: str) -> RollbackRecord:
    return rollback(context, request_for(context, to=to, reason="it is bad", asked_at=None))


def differences(world: World, mlflow: MlflowRegistry) -> list[str]:
    return list(status(coming(world, "status-1", mlflow=mlflow)).differences)


def lasting_differences(world: World, mlflow: MlflowRegistry) -> list[str]:
    """Those that are still there when every replica has had the time to drop what nobody wants."""
    eventually(lambda: not differences(world, mlflow))
    return differences(world, mlflow)


def expose(world: World, run_key: str, *, compared_with: int) -> int:
    """The version of a run where servers take it up, and a process that ends there."""
    context = world.context(run_key)
    version = world.history().version_of(run_key)
    assert version is not None
    context.journal.decide(lambda h: run_rules.expose(h, version=version, compared_with=compared_with))
    context.rollout.settle()
    return version


@pytest.fixture
def full(world: World) -> World:
    """v3 serves and v2 was before it; there is no room for v1, which is large, below the base path."""
    world.graph = "x" * 2 * ROOM
    world.release("retrain-1")
    world.graph = None
    world.release("retrain-2")
    world.release("retrain-3")
    return world


class TestNoRoomForTheWayBack:
    """v3 is bad, and behind v2 the next way back is v1."""

    def test_users_get_what_they_are_rolled_back_to_although_the_next_way_back_has_no_room(
        self, full: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        with limited(full.bucket):
            done = full.roll_back("previous")

        assert (2, 3) == (done.version, done.left)
        assert ["2"] == found(full)
        assert [2, 2] == full.answering()
        assert 1 == caplog.text.count(
            "v1, the version to roll back to, cannot be copied to the folder that servers read. Serving is not "
            "affected. Restore its files: cannot copy to serve/digits/1"
        )
        assert full.history().is_confirmed(2)

    def test_reconcile_and_retain_go_on_and_the_way_back_comes_with_room_again(
        self, full: World, mlflow: MlflowRegistry
    ) -> None:
        with limited(full.bucket):
            full.roll_back("previous")
            repairs = reconcile(coming(full, mlflow=mlflow))
            retained = retain(coming(full, "retain-1", hours=HOURS), EVERYTHING, dry_run=False)
        assert ["2"] == found(full)
        missing = "serve/digits/1 is missing, but servers look there. Run `understudy reconcile --model digits`"
        assert missing in differences(full, mlflow)
        again = reconcile(coming(full, "reconcile-2", mlflow=mlflow))

        assert [] == repairs.problems
        assert [3] == [version for entry in full.history().all() for version in entry.versions]
        assert () == retained.back
        assert Repairs() == again
        assert ["1", "2"] == found(full)
        assert [] == lasting_differences(full, mlflow)


class TestNoRoomForWhatShouldAnswer:
    """A person, or a run, has decided for what cannot be put there."""

    def test_the_way_to_a_version_that_is_there_stays_open(self, full: World) -> None:
        with limited(full.bucket):
            with pytest.raises(
                StorageError, match=r"v1 should serve, but servers cannot load it: .* read: cannot copy"
            ):
                full.roll_back("1")
            assert [3, 3] == full.answering()
            assert 2 == full.roll_back("2").version

        assert [2, 2] == full.answering()

    def test_retain_can_make_room(self, full: World) -> None:
        full.release("retrain-4")
        with limited(full.bucket):
            with pytest.raises(StorageError):
                full.roll_back("1")
            retained = retain(coming(full, "retain-1", hours=HOURS), EVERYTHING, dry_run=False)

        assert [2] == [line.version for line in retained.lines if line.decision is RetentionDecision.RETIRE]
        assert 1 == full.roll_back("1").version

    def test_a_candidate_can_be_withdrawn(self, world: World) -> None:
        start_released(world, 2)
        world.graph = "x" * 2 * ROOM
        world.publish("retrain-3")
        with limited(world.bucket):
            with pytest.raises(
                StorageError, match=r"v3 should serve, but servers cannot load it: .* read: cannot copy"
            ):
                world.run("canary", "retrain-3")
            assert "done" == world.run("withdraw", "retrain-3").outcome

        assert [2, 2] == world.answering()


def test_nobody_waits_for_the_copy_of_the_way_back(world: World) -> None:
    """However long it takes, users have what they are rolled back to before it begins."""
    start_released(world, 3)
    bucket, seen = Watched(world.bucket), []

    def wait_for_users(key: str) -> None:
        if key == layout.version(MODEL, 1):
            seen.append(eventually(lambda: world.answering() == [2, 2]))

    bucket.before_copy = wait_for_users
    roll_back_in(through(world, bucket, "rollback-5"), "previous")

    assert [True] == seen
    assert ["1", "2"] == found(world)


class TestLostManifest:
    """Nobody can say what the files of v2, which serves, should be."""

    @pytest.fixture
    def released(self, world: World) -> World:
        start_released(world, 2)
        return world

    def test_a_candidate_is_not_exposed_for_which_what_serves_could_not_come_back(self, released: World) -> None:
        manifest(released, 2).unlink()
        released.publish("retrain-3")
        before = released.history().seq
        with pytest.raises(
            CouldNotTellError, match=r"v2 serves, and its files are damaged, .* The candidate was not loaded"
        ):
            released.run("canary", "retrain-3")

        assert [] == released.events(before)
        assert ["1", "2"] == found(released)
        assert [2, 2] == released.answering()

    def test_neither_is_one_where_nobody_believed_has_signed_for_what_serves(self, released: World) -> None:
        """Signatures are turned on for a bucket that has been in use."""
        released.extra.update(pair(released.folder, "ours").settings)
        released.publish("retrain-3")
        before = released.history().seq
        with pytest.raises(
            CouldNotTellError, match=r"v2 .* was not loaded\. Restore the files: manifests/digits/2\.json is not signed"
        ):
            released.run("canary", "retrain-3")

        assert [] == released.events(before)
        assert [2, 2] == released.answering()

    def test_a_bad_candidate_goes_all_the_same_and_users_get_what_served(self, released: World) -> None:
        """Lost while the candidate is there: better files of v2 than those that are there will never come."""
        released.publish("retrain-3", shift=1)
        expose(released, "retrain-3", compared_with=2)
        assert eventually(lambda: released.answering() == [3, 3])
        manifest(released, 2).unlink()
        withdrawn = released.run("withdraw", "retrain-3")

        assert "done" == withdrawn.outcome
        assert ["1", "2"] == found(released)
        assert [2, 2] == released.answering()

    def test_a_folder_of_it_that_no_server_could_load_is_not_what_users_are_given(self, released: World) -> None:
        released.publish("retrain-3")
        expose(released, "retrain-3", compared_with=2)
        assert eventually(lambda: released.answering() == [3, 3])
        manifest(released, 2).unlink()
        (released.bucket / layout.version(MODEL, 2) / MARK).unlink()
        released.follow_seconds = 0.5
        with pytest.raises(CouldNotTellError, match=r"v3 is withdrawn .*\. Not confirmed by"):
            released.run("withdraw", "retrain-3")

        assert "3" in found(released)
        assert [3, 3] == released.answering()

    def test_a_canary_that_is_run_again_takes_a_bad_candidate_away_all_the_same(self, released: World) -> None:
        """It was cut off when it had exposed v3, and users see that."""
        released.publish("retrain-3", shift=1)
        released.context("retrain-3").records.finish(BaselineRecord(version=2, fresh_right=12, latency_ms=1.0))
        expose(released, "retrain-3", compared_with=2)
        manifest(released, 2).unlink()
        with pytest.raises(FailedError, match="golden answers differ"):
            released.run("canary", "retrain-3")

        assert eventually(lambda: released.answering() == [2, 2])


def test_a_way_back_that_is_damaged_where_servers_look_is_mended_before_it_is_needed(
    world: World, mlflow: MlflowRegistry
) -> None:
    start_released(world, 3)
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 1}')
    (told,) = [each for each in lasting_differences(world, mlflow) if "serve/digits/2" in each]
    world.roll_back("previous")

    way_out = "Run `understudy reconcile --model digits`: it copies the approved files there again"
    assert f"serve/digits/2 is not what was approved. {way_out}" == told
    assert [2, 2] == world.answering()
    assert Event.REISSUED not in [event for event, _ in world.events()]


class TestDamagedBelowTheBasePath:
    """What serves is known not to be what was approved, where servers look, while v3 is there to be taken back."""

    @pytest.fixture
    def damaged(self, world: World) -> World:
        start_released(world, 2)
        world.publish("retrain-3", shift=1)
        expose(world, "retrain-3", compared_with=2)
        assert eventually(lambda: world.answering() == [3, 3])
        (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
        world.follow_seconds = 0.5
        return world

    def test_its_approved_files_serve_under_a_new_number(self, damaged: World) -> None:
        assert "done" == damaged.run("withdraw", "retrain-3").outcome

        assert [4, 4] == damaged.answering()
        assert 2 == damaged.history().original(4)
        assert ["1", "4"] == found(damaged)

    def test_whatever_is_there_stays_where_approved_files_are_nowhere(self, damaged: World) -> None:
        (damaged.bucket / layout.published(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
        with pytest.raises(CouldNotTellError, match=r"v3 is withdrawn .*\. Not confirmed by"):
            damaged.run("withdraw", "retrain-3")

        assert ["1", "2", "3"] == found(damaged)
        assert [3, 3] == damaged.answering()


class TestHalfPromoted:
    """v2 was promoted, one replica speaks and answers v1, and nobody has said how that ends."""

    @pytest.fixture
    def half(self, world: World) -> World:
        start_released(world, 1)
        world.publish("retrain-2")
        world.replicas[1].sleep()
        expose(world, "retrain-2", compared_with=1)
        context = world.context("retrain-2")
        context.journal.decide(lambda h: run_rules.promote(h, version=2, compared_with=1, verdict=PASS))
        context.rollout.settle()
        assert eventually(lambda: world.answering() == [2, 1])
        world.follow_seconds = 0.5
        return world

    def test_reconcile_gives_it_no_new_number_and_its_run_takes_it_back(
        self, half: World, mlflow: MlflowRegistry
    ) -> None:
        before = half.history().seq
        early = reconcile(coming(half, mlflow=mlflow))
        assert [] == half.events(before)
        assert "retrain-2 is promoting since" in early.left[0]
        withdrawn = half.run("withdraw", "retrain-2")
        half.replicas[1].wake()
        reconcile(coming(half, "reconcile-2", hours=HOURS, mlflow=mlflow)).require_complete()

        assert "done" == withdrawn.outcome
        assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == half.events(before)
        assert half.history().withdrawal(1) is None
        assert [1, 1] == half.answering()
        assert [] == lasting_differences(half, mlflow)

    def test_a_person_who_confirms_it_gives_it_no_new_number_either(self, half: World) -> None:
        before = half.history().seq
        with pytest.raises(CouldNotTellError, match=f"v2 was set to serve .* Not followed: {half.replicas[1].address}"):
            half.roll_back("2")
        assert [] == half.events(before)
        half.replicas[1].wake()
        half.follow_seconds = 5.0

        assert 2 == half.roll_back("2").version
        assert [(Event.CONFIRMED, 2)] == half.events(before)
        assert [2, 2] == half.answering()
        with pytest.raises(DeclinedError, match="v2 was promoted and confirmed"):
            half.run("withdraw", "retrain-2")


class TestReissued:
    """v1 serves again; a replica that cannot load it has got its model as v3."""

    @pytest.fixture
    def stuck(self, world: World) -> World:
        """A roll-back from v2 that is written and not carried out."""
        start_released(world, 2)
        world.replicas[1].broken = 1
        return world

    def test_status_finds_nothing_wrong_with_its_number(self, stuck: World, mlflow: MlflowRegistry) -> None:
        assert 3 == stuck.roll_back("previous").version
        reconcile(coming(stuck, mlflow=mlflow)).require_complete()

        assert [] == lasting_differences(stuck, mlflow)

    def test_reconcile_that_reissues_a_person_s_roll_back_finishes_it(
        self, stuck: World, mlflow: MlflowRegistry
    ) -> None:
        begin_roll_back(stuck, 1, loaded=True)
        before = stuck.history().seq
        reconcile(coming(stuck, mlflow=mlflow)).require_complete()
        again = reconcile(coming(stuck, "reconcile-2", hours=HOURS, mlflow=mlflow))

        assert [(Event.REISSUED, 3), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 3)] == stuck.events(before)
        assert Repairs() == again
        assert [3, 3] == stuck.answering()
        assert 4 == stuck.release("retrain-4")

    def test_the_next_reconcile_finishes_what_one_has_reissued_that_was_cut_off(
        self, stuck: World, mlflow: MlflowRegistry
    ) -> None:
        begin_roll_back(stuck, 1, loaded=True)
        stuck.context("reconcile-1").journal.decide(lambda h: run_rules.reissue(h, version=1, reason="stuck"))
        before = stuck.history().seq
        reconcile(coming(stuck, "reconcile-2", hours=HOURS, mlflow=mlflow)).require_complete()

        assert [(Event.WITHDRAWN, 2), (Event.CONFIRMED, 3)] == stuck.events(before)
        assert [] == lasting_differences(stuck, mlflow)
        assert 4 == stuck.release("retrain-4")

    def test_a_promotion_that_is_being_undone_is_ended_under_the_new_number(
        self, world: World, mlflow: MlflowRegistry
    ) -> None:
        start_released(world, 1)
        world.publish("retrain-2")
        expose(world, "retrain-2", compared_with=1)
        context = world.context("retrain-2")
        context.journal.decide(lambda h: run_rules.promote(h, version=2, compared_with=1, verdict=PASS))
        context.journal.decide(lambda h: run_rules.undo_promotion(h, version=2, run_key="retrain-2", reason="stopped"))
        world.context("reconcile-1").journal.decide(lambda h: run_rules.reissue(h, version=1, reason="stuck"))
        before = world.history().seq
        reconcile(coming(world, "reconcile-2", mlflow=mlflow)).require_complete()

        assert [(Event.WITHDRAWN, 2), (Event.CONFIRMED, 3)] == world.events(before)
        assert "the run did not finish" == world.history().all()[-2].reason
        assert [3, 3] == world.answering()

    def test_what_was_confirmed_before_is_confirmed_and_not_taken_back(
        self, world: World, mlflow: MlflowRegistry
    ) -> None:
        """A reconcile that was cut off had found a replica stuck that served v1."""
        start_released(world, 1)
        world.context("reconcile-1").journal.decide(lambda h: run_rules.reissue(h, version=1, reason="stuck"))
        before = world.history().seq
        reconcile(coming(world, "reconcile-2", hours=HOURS, mlflow=mlflow)).require_complete()

        assert [(Event.CONFIRMED, 2)] == world.events(before)
        assert [2, 2] == world.answering()


class TestForged:
    """F66: v1 and v2 below the base path have a file of somebody else's with the CRC32C of the approved one."""

    @pytest.fixture
    def forged(self, world: World) -> World:
        world.extra.update(pair(world.folder, "ours").settings)
        world.release("retrain-1")
        world.release("retrain-2")
        for version in (1, 2):
            file = world.bucket / layout.version(MODEL, version) / MARK
            file.write_bytes(with_crc32c(b"evil graph", google_crc32c.value(file.read_bytes())))
        return world

    def test_status_notices_where_signatures_are_asked_for(self, forged: World, mlflow: MlflowRegistry) -> None:
        told = differences(forged, mlflow)

        for version in (1, 2):
            assert any(f"serve/digits/{version} is not what was approved" in each for each in told), told

    def test_a_roll_back_ends_with_the_approved_file(self, forged: World) -> None:
        forged.follow_seconds = 0.5
        done = forged.roll_back("previous")
        served = forged.bucket / layout.version(MODEL, done.version) / MARK

        assert 1 == forged.history().original(done.version)
        assert (forged.bucket / layout.published(MODEL, 1) / MARK).read_bytes() == served.read_bytes()
        assert [str(done.version)] == found(forged)
        assert [done.version] * 2 == forged.answering()


class TestColleagues:
    def test_a_number_taken_between_two_looks_is_no_false_alarm(self, world: World) -> None:
        """F49: it is in the journal when that is read again."""
        start_released(world, 2)
        bucket = Watched(world.bucket)

        def reissue() -> None:
            bucket.before_listing = lambda: None
            colleague = world.context("other-1")
            colleague.journal.decide(lambda h: run_rules.reissue(h, version=2, reason="stuck"))
            colleague.rollout.settle()

        bucket.before_listing = reissue
        through(world, bucket, "look-1").rollout.settle()

        assert 3 == world.history().state.serving
        assert ["1", "3"] == found(world)
        assert eventually(lambda: world.answering() == [3, 3])

    def test_a_slower_one_with_an_old_history_brings_nothing_back(self, world: World) -> None:
        start_released(world, 2)
        old = world.history()
        world.roll_back("previous")
        world.context("slow-1").rollout.placement.place(old)

        assert ["1"] == found(world)

    def test_a_slower_one_with_an_old_history_takes_nothing_away(self, world: World) -> None:
        start_released(world, 2)
        world.roll_back("previous")
        old = world.history()
        world.roll_back("2")
        world.context("slow-1").rollout.placement.place(old)

        assert ["1", "2"] == found(world)


class TestPersons:
    def test_a_pin_of_what_serves_takes_back_the_candidate_that_users_see(self, world: World) -> None:
        start_released(world, 2)
        world.publish("retrain-3")
        world.run("canary", "retrain-3")
        before = world.history().seq
        context = world.context("rollback-5")
        pin(context, request_for(context, to="2", reason="keep it", asked_at=None))
        state = world.history().state

        assert [(Event.WITHDRAWN, 3), (Event.PINNED, 2)] == world.events(before)
        assert (2, 2, None) == (state.serving, state.pinned, state.candidate)
        assert [2, 2] == world.answering()

    def test_who_goes_back_from_a_first_release_being_proven_is_told_how_to_take_it_away(self, world: World) -> None:
        world.publish("retrain-1")
        world.run("canary", "retrain-1")
        before = world.history().seq
        with pytest.raises(
            BadInputError,
            match=r"v1 is the first version.* no version to go back to.*`understudy withdraw .* --run retrain-1`",
        ):
            world.roll_back("previous")
        assert [] == world.events(before)
        assert [1, 1] == world.answering()

        assert "done" == world.run("withdraw", "retrain-1").outcome
        assert [] == found(world)


class TestOnTheWay:
    def test_no_server_takes_up_a_version_that_goes_next(self, world: World) -> None:
        """From v3 to v1 with polls between any two removals: v2, which is there too, is never the highest."""
        start_released(world, 3)
        bucket, seen = Watched(world.bucket), []

        def wait_for_polls(_: str) -> None:
            threading.Event().wait(3 * POLL_SECONDS)
            seen.append(world.answering())

        bucket.after_removal = wait_for_polls
        roll_back_in(through(world, bucket, "rollback-5"), "1")

        assert [[3, 3], [1, 1]] == seen

    def test_a_replica_that_is_down_has_not_dropped_what_is_withdrawn(self, world: World) -> None:
        """Something should be in memory, so its silence does not mean that it waits for something to serve."""
        start_released(world, 1)
        world.publish("retrain-2")
        world.run("canary", "retrain-2")
        world.replicas[1].stop()
        world.follow_seconds = 0.5
        with pytest.raises(
            CouldNotTellError, match=rf"v2 is withdrawn .*\. Not confirmed by {world.replicas[1].address}"
        ):
            world.run("withdraw", "retrain-2")

        assert 1 == world.answering()[0]

    def test_a_load_slower_than_a_server_follows_is_waited_for(self, world: World) -> None:
        world.release("retrain-1", load_seconds=0.8)
        world.release("retrain-2")
        patient = world.context("rollback-5").settings.model_copy(update={"follow_seconds": 0.2})
        done = roll_back_in(make_run_context(patient, model=MODEL, run_key="rollback-5"), "previous")

        assert 1 == done.version, "it needs no new number"
        assert [1, 1] == world.answering()
