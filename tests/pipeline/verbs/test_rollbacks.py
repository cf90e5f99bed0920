"""Roll-backs against real model servers: what a person gets, whatever else is going on."""

import re
import shutil
import threading
import time

import pytest

from pipeline import layout
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.state import State
from pipeline.rules.rollback import RollbackRequest, next_step
from pipeline.verbs.rollback import rollback
from pipeline.verbs.status import status
from tests.fleet import POLL_SECONDS
from tests.released import start_released
from tests.releases import MODEL, World, eventually, over_both


@over_both
def test_rolling_back_to_previous_takes_one_poll_and_loads_nothing(world: World) -> None:
    start_released(world, 2)
    before = world.history().seq
    done = world.roll_back("previous")

    assert (1, 2) == (done.version, done.left)
    assert [1, 1] == world.answering()
    assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == world.events(before)
    assert "ann" == world.history().all()[-1].actor
    assert "it is bad" == world.history().all()[-2].reason


def test_rolling_back_to_a_version_that_is_not_resident_loads_it_first(world: World) -> None:
    start_released(world, 3)
    before = world.history().seq
    world.roll_back("1")

    assert [1, 1] == world.answering()
    assert [(Event.EXPOSED, 1), (Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 3), (Event.CONFIRMED, 1)] == world.events(
        before
    )


def test_a_target_that_cannot_be_loaded_leaves_what_serves(world: World) -> None:
    start_released(world, 3)
    for replica in world.replicas:
        replica.broken = 1
    with pytest.raises(FailedError, match=r"no replica could load v1: .*\. v3 still serves"):
        world.roll_back("1")

    assert [3, 3] == world.answering()
    assert State(serving=3, previous=2, next_version=4) == world.history().state


def test_a_target_whose_files_are_gone_is_refused_before_anything_changes(world: World) -> None:
    """F42."""
    start_released(world, 2)
    before = world.history().seq
    shutil.rmtree(world.bucket / layout.version(MODEL, 1))

    with pytest.raises(FailedError, match=r"files are damaged: v1: no folder serve/digits/1 .* v2 still serves"):
        world.roll_back("previous")
    assert before == world.history().seq


def test_a_damaged_previous_version_is_passed_over_for_the_good_one_before_it(world: World) -> None:
    """F42: and a colleague who asked at the same time finds it done."""
    start_released(world, 3)
    seen = world.history().seq
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text("{}  ")
    assert 1 == world.roll_back("previous").version
    late = RollbackRequest("rollback-7", "previous", "it is bad", seen)

    assert 1 == rollback(world.context("rollback-7"), late).version
    assert [1, 1] == world.answering()


@over_both
def test_a_target_with_a_changed_manifest_is_not_trusted(world: World) -> None:
    """F67: the journal knows which manifest a version was published with."""
    start_released(world, 2)
    manifest = world.bucket / layout.manifest(MODEL, 1)
    manifest.write_text(manifest.read_text().replace('"the gate"', '"somebody"'))

    with pytest.raises(
        FailedError, match=r"is not the manifest that journal entry 2 has recorded\. Restore it, or .*\. v2 still"
    ):
        world.roll_back("previous")


@over_both
def test_a_roll_back_without_a_reason_changes_nothing(world: World) -> None:
    start_released(world, 2)
    with pytest.raises(BadInputError, match="needs a reason"):
        world.roll_back("previous", reason="  ")

    assert [2, 2] == world.answering()


@over_both
def test_already_there_is_success_and_writes_nothing(world: World) -> None:
    """F43."""
    start_released(world, 2)
    before = world.history().seq
    world.roll_back("2")

    assert before == world.history().seq


@over_both
def test_a_roll_back_acts_first_and_then_names_who_did_not_follow(world: World) -> None:
    """Asking for `previous` again finishes the roll-back and goes no step further."""
    start_released(world, 3)
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match=re.escape(f"Not followed: {world.replicas[1].address}")):
        world.roll_back("previous")

    assert 2 == world.history().state.serving
    assert any(
        "`understudy rollback --model digits --to 2 --hold none --reason why`" in each
        for each in status(world.context("look-1")).under_way
    )
    world.replicas[1].start()
    assert eventually(lambda: None not in world.answering())
    world.roll_back("previous")
    assert [2, 2] == world.answering()
    assert State(serving=2, previous=1, next_version=4) == world.history().state


def test_a_replica_that_slept_through_an_expose_is_healed_by_a_roll_back(world: World) -> None:
    """It sleeps through the loading of the target and wakes when the label has moved."""
    start_released(world, 3)
    sleeper = world.replicas[1]
    sleeper.sleep()
    journal = world.context("rollback-1").journal
    request = RollbackRequest("rollback-1", "1", "bad", world.history().seq)
    journal.decide(lambda h: next_step(h, request=request, target=1, loaded=False))
    world.context("rollback-1").rollout.settle()
    assert eventually(lambda: world.context("look-1").replicas.is_loaded_somewhere(1) is True)
    journal.decide(lambda h: next_step(h, request=request, target=1, loaded=True))
    world.context("rollback-1").rollout.settle()
    sleeper.wake()
    assert eventually(lambda: world.answering()[0] == 1)
    time.sleep(5 * POLL_SECONDS)
    assert [1, 3] == world.answering(), "without healing it stays behind"

    world.roll_back("1", run_key="rollback-1")

    assert [1, 1] == world.answering()


@over_both
@pytest.mark.parametrize("to", ["previous", "1", "2"])
def test_a_roll_back_is_carried_out_once(world: World, to: str) -> None:
    """Clearing its task after later releases takes nothing from them, also where there was nothing to do."""
    start_released(world, 2)
    first = world.roll_back(to, run_key="rollback-1")
    world.release("retrain-3")
    again = world.roll_back(to, run_key="rollback-1")

    assert first == again
    assert [3, 3] == world.answering()


@over_both
def test_a_retrain_promoted_after_the_person_asked_is_not_rolled_back(world: World) -> None:
    """F44: a roll-back of v2 is about v2; a newer approved version wins."""
    start_released(world, 2)
    asked = RollbackRequest("rollback-1", "previous", "v2 is bad", world.history().seq)
    world.release("retrain-3")
    with pytest.raises(
        DeclinedError, match=r"v2, which served when you asked, does not serve any more\. v3 serves since"
    ):
        rollback(world.context("rollback-1"), asked)

    assert [3, 3] == world.answering()


@over_both
@pytest.mark.parametrize("key", ["retrain-2", "manual-1"])
def test_a_roll_back_has_a_key_of_its_own(world: World, key: str) -> None:
    """I4: the key of a retrain would name its withdrawn candidate as the target."""
    start_released(world, 1)
    world.publish("retrain-2", shift=1)
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")
    with pytest.raises(BadInputError, match="is not the key of a roll-back"):
        world.roll_back("previous", run_key=key)
    with pytest.raises(BadInputError, match="is the key of a roll-back"):
        world.run("publish", "rollback-1")

    assert [1, 1] == world.answering()


def test_a_previous_version_that_cannot_load_is_not_given_the_label(world: World) -> None:
    """That it should be in memory is no proof that it is."""
    start_released(world, 2)
    for replica in world.replicas:
        replica.stop()
    for replica in world.replicas:
        replica.broken = 1
        replica.start()
    with pytest.raises(FailedError, match=r"no replica could load v1: .*\. v2 still serves"):
        world.roll_back("previous")

    assert [2, 2] == world.answering()


def test_a_target_is_not_condemned_because_nobody_answers(world: World) -> None:
    """Silence is no evidence; but a version that kills its servers is left, and they come back with the other."""
    start_released(world, 3)
    for replica in world.replicas:
        replica.stop()
    with pytest.raises(CouldNotTellError, match="no connection"):
        world.roll_back("1")

    assert State(serving=1, previous=2, next_version=4) == world.history().state
    assert "versions: 1 versions: 2 }" in world.config.read_text()
    assert world.history().was_good(1)
    for replica in world.replicas:
        replica.start()
    assert eventually(lambda: world.answering() == [1, 1])


def test_a_target_whose_files_were_mended_is_tried_again(world: World) -> None:
    """An old failure in a server's memory is not taken for a new one."""
    start_released(world, 3)
    file = world.bucket / layout.version(MODEL, 1) / "classifier.json"
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(FailedError):
        world.roll_back("1")
    file.write_bytes(content)
    time.sleep(5 * POLL_SECONDS)  # a server gives a failed version up when a poll shows it is not asked for
    world.roll_back("1")

    assert [1, 1] == world.answering()


def test_one_replica_that_cannot_load_the_target_does_not_hold_the_others_back(world: World) -> None:
    start_released(world, 3)
    world.replicas[1].broken = 1
    with pytest.raises(CouldNotTellError, match=re.escape(world.replicas[1].address)):
        world.roll_back("1")

    assert [1, 3] == world.answering()


def test_an_abandoned_roll_back_is_shown_and_can_be_given_up(world: World) -> None:
    start_released(world, 3)
    request = RollbackRequest("rollback-1", "1", "and then it was killed", world.history().seq)
    world.context("rollback-1").journal.decide(lambda h: next_step(h, request=request, target=1, loaded=False))
    world.publish("retrain-4")
    with pytest.raises(CouldNotTellError, match="ann is rolling back to v1"):
        world.run("canary", "retrain-4")
    with pytest.raises(DeclinedError, match="never on a replica"):
        world.run("withdraw", "retrain-4")
    assert any(
        "to cancel it: `understudy rollback --model digits --to 3 --reason why`" in each
        for each in status(world.context("look-1")).under_way
    )
    world.roll_back("3")

    assert State(serving=3, previous=2, next_version=5) == world.history().state
    assert "done" == world.run("canary", "retrain-4").outcome


@over_both
def test_undoing_a_roll_back_keeps_what_it_came_from(world: World) -> None:
    """v2 to v1 by mistake, then back to v2: v1 is still good and still the way back."""
    start_released(world, 2)
    world.roll_back("previous")
    world.roll_back("2")

    assert State(serving=2, previous=1, next_version=3) == world.history().state
    world.roll_back("previous")
    assert [1, 1] == world.answering()


def test_a_candidate_whose_seat_a_roll_back_took_is_declined_not_condemned(world: World) -> None:
    start_released(world, 3)
    world.publish("retrain-4", load_seconds=1.0)
    canary = threading.Thread(target=world.roll_back, args=("1",))
    threading.Timer(0.3, canary.start).start()
    with pytest.raises(DeclinedError):
        world.run("canary", "retrain-4")
    canary.join()

    assert [1, 1] == world.answering()
    entry = world.history().withdrawal(4)
    assert entry is not None
    assert (Event.DECLINED, None) == (entry.event, entry.verdict)
