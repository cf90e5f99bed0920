"""The release verbs against real model servers: what each replica serves after every way a release can go."""

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import layout
from pipeline.context import make_context
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FailedError
from pipeline.records import CanaryRecord, Record
from pipeline.release import decisions
from pipeline.release.going_back import Wish, next_step
from pipeline.release.journal import Event
from pipeline.release.rollout import Rollout
from pipeline.release.state import State
from pipeline.storage import Bucket
from pipeline.verbs.rollback import rollback
from pipeline.verbs.status import status
from serving.canary import INPUT
from serving.client import Client
from serving.errors import NotServedError
from serving.fleet import parse_fleet
from tests.fleet import POLL_SECONDS, RunningReplica, write_classifier
from tests.releases import IMAGES, MODEL, World


def restart_on_an_older_config(world: World, replica: RunningReplica, *, without: int) -> None:
    """The replica comes back with a config that does not name a version yet, and sees no newer one."""
    replica.stop()
    now = world.config.read_text()
    world.config.write_text(now.replace(f" versions: {without}", ""))
    replica.sleep()
    world.config.write_text(now)
    replica.start()


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_first_release_is_loaded_without_a_label_and_then_labelled(world: World) -> None:
    world.approve("retrain-1")
    world.run("publish", "retrain-1")
    assert [None, None] == world.answering()

    world.run("canary", "retrain-1")
    assert [None, None] == world.answering()

    world.run("promote", "retrain-1")
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=2) == world.history().state


def test_withdrawing_the_first_release_goes_back_to_the_empty_list(world: World) -> None:
    world.approve("retrain-1", shift=1)
    world.run("publish", "retrain-1")
    with pytest.raises(FailedError, match="12 of 12 golden answers differ"):
        world.run("canary", "retrain-1")
    world.run("withdraw", "retrain-1")

    assert "model_config_list {}" in world.config.read_text()
    assert State(next_version=2) == world.history().state


def test_a_release_replaces_the_serving_version_and_keeps_it_in_memory(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")

    assert [2, 2] == world.answering()
    assert "versions: 1 versions: 2" in world.config.read_text()


def test_users_never_notice_a_release_nor_meet_a_version_before_its_promotion(world: World) -> None:
    """While a promotion spreads old and new mix; nothing else ever answers, and nothing fails."""
    world.release("retrain-1")
    stop = threading.Event()
    versions: set[int] = set()
    sent = [0]

    def ask() -> None:
        fleet = parse_fleet(",".join(replica.address for replica in world.replicas))
        with Client(fleet) as client:
            while not stop.is_set():
                image = np.empty(1, dtype=object)
                image[0] = IMAGES[0]
                versions.add(client.predict(MODEL, {INPUT: image}).version)
                sent[0] += 1

    client = threading.Thread(target=ask)
    client.start()
    world.approve("retrain-2", shift=1)
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")
    dark = set(versions)
    world.release("retrain-3")
    stop.set()
    client.join()

    assert {1} == dark
    assert {1, 3} == versions
    assert sent[0] > 0


def test_a_candidate_damaged_after_publish_is_caught_on_the_replicas(world: World) -> None:
    """F13: the bytes changed after they were verified, and the model loads and answers wrongly."""
    world.release("retrain-1")
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
    with pytest.raises(FailedError, match="golden answers differ"):
        world.run("canary", "retrain-2")
    record = world.run("withdraw", "retrain-2")

    assert "done" == record.outcome
    assert [1, 1] == world.answering()
    withdrawn = world.history().entries[-1]
    assert (Event.WITHDRAWN, 2) == (withdrawn.event, withdrawn.version)
    assert withdrawn.verdict is not None
    assert 2 == sum("golden answers differ" in reason for reason in withdrawn.verdict.reasons)


def test_a_candidate_that_cannot_be_loaded_fails_with_the_servers_words(world: World) -> None:
    """F12."""
    world.release("retrain-1")
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").unlink()
    with pytest.raises(FailedError, match=r"v2 END: .*Could not find SavedModel"):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()


def test_a_withdrawn_candidate_stays_withdrawn_when_its_tasks_are_cleared(world: World) -> None:
    """I4."""
    world.release("retrain-1")
    world.approve("retrain-2", shift=1)
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    with pytest.raises(FailedError, match="v2 was withdrawn"):
        world.run("canary", "retrain-2")
    assert [1, 1] == world.answering()


def test_a_canary_without_an_answer_cannot_tell_and_may_be_asked_again(world: World) -> None:
    """F25: an unreachable replica never promotes, and clearing the task asks it again."""
    world.release("retrain-1")
    world.follow_seconds = 1.0
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match="no connection"):
        world.run("canary", "retrain-2")
    world.replicas[1].start()

    assert "done" == world.run("canary", "retrain-2").outcome


def test_publishing_twice_ends_with_one_version_of_the_same_bytes(world: World) -> None:
    """F10, I6: a zombie and its retry overlap."""
    context = world.approve("retrain-1")
    barrier = threading.Barrier(4)
    records: list[Record] = []

    def compete() -> None:
        barrier.wait()
        records.append(world.run("publish", "retrain-1"))

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4 == len(records)
    assert 1 == len({record.model_dump_json() for record in records})
    assert [(Event.CLAIMED, 1), (Event.PUBLISHED, 1)] == world.events()
    assert ["1"] == context.bucket.names(layout.versions(MODEL))
    assert [] == context.bucket.names(layout.staging(MODEL, "retrain-1", "").rstrip("/"))


def test_a_version_whose_files_changed_before_publish_ended_is_refused(world: World) -> None:
    """I2: a number's content never changes."""
    world.approve("retrain-1")
    write_classifier(world.bucket / layout.version(MODEL, 1), shift=3)

    with pytest.raises(FailedError, match=r"differs from the evaluated model in classifier\.json"):
        world.run("publish", "retrain-1")
    assert [(Event.CLAIMED, 1)] == world.events()


def test_promote_declines_and_gives_its_candidate_up_when_the_world_has_moved(world: World) -> None:
    """A roll-back never waits for a retrain: the retrain finds the state moved. Its answer is final."""
    world.release("retrain-1")
    world.release("retrain-2")
    world.approve("retrain-3")
    world.run("publish", "retrain-3")
    world.run("canary", "retrain-3")
    world.roll_back("1")
    for _ in range(2):
        with pytest.raises(DeclinedError, match="v1 is serving, and this candidate was compared with v2"):
            world.run("promote", "retrain-3")

    assert [1, 1] == world.answering()
    assert (Event.DECLINED, 3) == world.events()[-1]


def test_rolling_back_to_previous_takes_one_poll_and_loads_nothing(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")
    before = world.history().seq
    done = world.roll_back("previous")

    assert (1, 2) == (done["version"], done["left"])
    assert [1, 1] == world.answering()
    assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2)] == world.events(before)
    assert "ann" == world.history().entries[-1].actor
    assert "it is bad" == world.history().entries[-1].reason


def test_rolling_back_to_a_version_that_is_not_resident_loads_it_first(world: World) -> None:
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    before = world.history().seq
    world.roll_back("1")

    assert [1, 1] == world.answering()
    assert [(Event.EXPOSED, 1), (Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 3)] == world.events(before)


def test_a_target_that_cannot_be_loaded_leaves_what_serves(world: World) -> None:
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    (world.bucket / layout.version(MODEL, 1) / "classifier.json").unlink()
    with pytest.raises(FailedError, match=r"v1 is loaded by no replica: .*; v3 still serves"):
        world.roll_back("1")

    assert [3, 3] == world.answering()
    assert State(serving=3, previous=2, next_version=4) == world.history().state


def test_a_target_whose_files_are_gone_is_refused_before_anything_changes(world: World) -> None:
    """F42."""
    world.release("retrain-1")
    world.release("retrain-2")
    before = world.history().seq
    world.context("x-1").bucket.remove(layout.version(MODEL, 1))

    with pytest.raises(BadInputError, match="v1 has no files at serve/digits/1"):
        world.roll_back("previous")
    assert before == world.history().seq


def test_a_roll_back_without_a_reason_changes_nothing(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")
    with pytest.raises(BadInputError, match="needs a reason"):
        world.roll_back("previous", reason="  ")

    assert [2, 2] == world.answering()


def test_already_there_is_success_and_writes_nothing(world: World) -> None:
    """F43."""
    world.release("retrain-1")
    world.release("retrain-2")
    before = world.history().seq
    world.roll_back("2")

    assert before == world.history().seq


def test_a_roll_back_acts_first_and_then_names_who_did_not_follow(world: World) -> None:
    """Asking for `previous` again finishes the roll-back and goes no step further."""
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match=re.escape(f"not followed: {world.replicas[1].address}")):
        world.roll_back("previous")

    assert 2 == world.history().state.serving
    assert any("roll back --to 2" in each for each in status(world.context("look-1")).differences)
    world.replicas[1].start()
    world.roll_back("previous")
    assert [2, 2] == world.answering()
    assert State(serving=2, previous=1, next_version=4) == world.history().state


def test_a_replica_that_slept_through_the_expose_is_healed_at_promotion(world: World) -> None:
    """A server refuses for ever a config whose label points at a version it has not loaded."""
    world.release("retrain-1")
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.run("canary", "retrain-2")
    sleeper = world.replicas[1]
    restart_on_an_older_config(world, sleeper, without=2)
    verdict = world.context("retrain-2").records.need(CanaryRecord).verdict
    assert verdict is not None
    context = world.context("retrain-2")
    context.journal.decide(lambda h: decisions.promote(h, version=2, compared_with=1, verdict=verdict))
    context.rollout.settle()
    sleeper.wake()
    assert eventually(lambda: world.answering()[0] == 2)
    time.sleep(5 * POLL_SECONDS)
    assert [2, 1] == world.answering(), "without healing it stays behind"

    record = world.run("promote", "retrain-2")

    assert [2, 2] == world.answering()
    assert 2 == record.summary()["replicas"]


def test_a_replica_that_slept_through_an_expose_is_healed_by_a_roll_back(world: World) -> None:
    """It sleeps through the loading of the target and wakes when the label has moved."""
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    sleeper = world.replicas[1]
    sleeper.sleep()
    journal = world.context("rollback-1").journal
    wish = Wish("rollback-1", "1", "bad", datetime.now(UTC))
    journal.decide(lambda h: next_step(h, wish=wish, target=1, loaded=False))
    world.context("rollback-1").rollout.settle()
    assert eventually(lambda: world.context("look-1").rollout.is_loaded_somewhere(1))
    journal.decide(lambda h: next_step(h, wish=wish, target=1, loaded=True))
    world.context("rollback-1").rollout.settle()
    sleeper.wake()
    assert eventually(lambda: world.answering()[0] == 1)
    time.sleep(5 * POLL_SECONDS)
    assert [1, 3] == world.answering(), "without healing it stays behind"

    world.roll_back("1", run_key="rollback-1")

    assert [1, 1] == world.answering()


def test_no_traffic_moves_while_a_replica_has_lost_the_candidate(world: World) -> None:
    """A replica that restarted since the canary is found before the label moves anywhere."""
    world.release("retrain-1")
    world.follow_seconds = 1.0
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.run("canary", "retrain-2")
    restart_on_an_older_config(world, world.replicas[1], without=2)
    with pytest.raises(FailedError, match="v2 is not loaded everywhere"):
        world.run("promote", "retrain-2")

    assert [1, 1] == world.answering()
    assert 1 == world.history().state.serving


def test_a_version_taken_back_stays_loaded_until_the_label_has_left_it(world: World) -> None:
    """Label first: a replica that is late never has a label without a model."""
    world.release("retrain-1")
    world.follow_seconds = 1.5
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.run("canary", "retrain-2")
    world.replicas[1].sleep()
    with pytest.raises(FailedError):
        world.run("promote", "retrain-2")
    late, asleep = world.replicas
    late.sleep()
    asleep.wake()
    world.follow_seconds = 5.0
    threading.Timer(0.7, late.wake).start()
    world.run("withdraw", "retrain-2")
    rolled_back, withdrawn = world.history().entries[-2:]

    assert [Event.ROLLED_BACK, Event.WITHDRAWN] == [rolled_back.event, withdrawn.event]
    assert (withdrawn.at - rolled_back.at).total_seconds() > 0.5


def test_a_slow_writer_of_the_config_does_not_undo_a_newer_one(world: World) -> None:
    """Two settle at once; the one that read the older history writes last, looks again and corrects itself."""
    world.release("retrain-1")
    world.release("retrain-2")

    class Overtaken(Bucket):
        """A bucket whose first write is overtaken by a whole roll-back."""

        waiting = True

        def replace(self, key: str, content: bytes) -> None:
            if self.waiting:
                self.waiting = False
                world.roll_back("previous")
            super().replace(key, content)

    slow = make_context(world.context("x-1").settings, model=MODEL, run_key="x-1")
    world.config.write_text("# journal entry 0\nmodel_config_list {}\n")
    rollout = Rollout(
        model=MODEL,
        bucket=Overtaken(world.bucket),
        journal=slow.journal,
        fleet=slow.rollout.fleet,
        settings=slow.settings,
    )
    rollout.settle()

    assert world.history().seq == rollout.rendered_entry()
    assert "value: 1" in world.config.read_text()


def test_a_promotion_that_stops_half_way_is_undone(world: World) -> None:
    """One replica never follows: the run is red, and withdraw brings the label back."""
    world.release("retrain-1")
    world.follow_seconds = 1.5
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.run("canary", "retrain-2")
    world.replicas[1].sleep()
    with pytest.raises(FailedError, match="the label answers v1"):
        world.run("promote", "retrain-2")
    assert [2, 1] == world.answering()
    world.replicas[1].wake()
    record = world.run("withdraw", "retrain-2")

    assert "done" == record.outcome
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=3) == world.history().state


@pytest.mark.parametrize(("told", "key"), [("use rollback", "retrain-1"), ("published nothing", "retrain-2")])
def test_withdraw_declines_what_is_not_its_to_take_back(world: World, told: str, key: str) -> None:
    world.release("retrain-1")
    world.approve("retrain-2")

    with pytest.raises(DeclinedError, match=told):
        world.run("withdraw", key)
    assert [1, 1] == world.answering()


def test_a_withdraw_that_had_nothing_to_do_is_a_safety_net_again_when_the_run_is_cleared(world: World) -> None:
    """A declined withdraw is no final answer: the task before it may be cleared and then go wrong."""
    world.release("retrain-1")
    world.approve("retrain-2", shift=1)
    with pytest.raises(DeclinedError):
        world.run("withdraw", "retrain-2")
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=3) == world.history().state


def test_clearing_a_red_withdraw_never_undoes_what_a_person_decided(world: World) -> None:
    world.release("retrain-1")
    world.follow_seconds = 1.0
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.run("canary", "retrain-2")
    world.replicas[1].stop()
    journal = world.context("retrain-2").journal
    verdict = world.context("retrain-2").records.need(CanaryRecord).verdict
    assert verdict is not None
    journal.decide(lambda h: decisions.promote(h, version=2, compared_with=1, verdict=verdict))
    with pytest.raises(CouldNotTellError, match="v2 is withdrawn"):
        world.run("withdraw", "retrain-2")
    world.replicas[1].start()
    world.follow_seconds = 5.0
    world.roll_back("2")
    with pytest.raises(DeclinedError, match=r"ann made v2 serve \(it is bad\)"):
        world.run("withdraw", "retrain-2")

    assert [2, 2] == world.answering()


def test_a_roll_back_is_carried_out_once(world: World) -> None:
    """Clearing its task after later releases takes nothing from them."""
    world.release("retrain-1")
    world.release("retrain-2")
    world.roll_back("1", run_key="rollback-1")
    world.release("retrain-3")
    with pytest.raises(DeclinedError, match=r"this roll-back went to v1 at .*; v3 serves since"):
        world.roll_back("1", run_key="rollback-1")

    assert [3, 3] == world.answering()


def test_a_retrain_promoted_after_the_person_asked_is_not_rolled_back(world: World) -> None:
    """F44: a roll-back of v2 is about v2; a newer approved version wins."""
    world.release("retrain-1")
    world.release("retrain-2")
    asked = Wish("rollback-1", "previous", "v2 is bad", datetime.now(UTC))
    world.release("retrain-3")
    with pytest.raises(
        DeclinedError, match="v2, which served when you asked, does not serve any more; v3 serves since"
    ):
        rollback(world.context("rollback-1"), asked)

    assert [3, 3] == world.answering()


@pytest.mark.parametrize("key", ["retrain-2", "manual-1"])
def test_a_roll_back_has_a_key_of_its_own(world: World, key: str) -> None:
    """I4: the key of a retrain would name its withdrawn candidate as the target."""
    world.release("retrain-1")
    world.approve("retrain-2", shift=1)
    world.run("publish", "retrain-2")
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
    world.release("retrain-1")
    world.release("retrain-2")
    for replica in world.replicas:
        replica.stop()
    (world.bucket / layout.version(MODEL, 1) / "classifier.json").unlink()
    for replica in world.replicas:
        replica.start()
    with pytest.raises(FailedError, match=r"v1 is loaded by no replica: .*; v2 still serves"):
        world.roll_back("previous")

    assert [2, 2] == world.answering()


def test_a_target_is_not_condemned_because_nobody_answers(world: World) -> None:
    """Silence is no evidence: the target stays good, its seat is free again, and nothing moved."""
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    for replica in world.replicas:
        replica.stop()
    with pytest.raises(CouldNotTellError, match="no connection"):
        world.roll_back("1")

    assert State(serving=3, previous=2, next_version=4) == world.history().state
    assert world.history().was_good(1)


def test_a_target_whose_files_were_mended_is_tried_again(world: World) -> None:
    """An old failure in a server's memory is not taken for a new one."""
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
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
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    world.replicas[1].broken = 1
    with pytest.raises(CouldNotTellError, match=re.escape(world.replicas[1].address)):
        world.roll_back("1")

    assert [1, 3] == world.answering()


def test_an_abandoned_roll_back_is_shown_and_can_be_given_up(world: World) -> None:
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    wish = Wish("rollback-1", "1", "and then it was killed", datetime.now(UTC))
    world.context("rollback-1").journal.decide(lambda h: next_step(h, wish=wish, target=1, loaded=False))
    world.approve("retrain-4")
    world.run("publish", "retrain-4")
    with pytest.raises(CouldNotTellError, match="ann is rolling back to v1"):
        world.run("canary", "retrain-4")
    with pytest.raises(DeclinedError, match="never on a replica"):
        world.run("withdraw", "retrain-4")
    assert any("or --to 3 to give it up" in each for each in status(world.context("look-1")).differences)
    world.roll_back("3")

    assert State(serving=3, previous=2, next_version=5) == world.history().state
    assert "done" == world.run("canary", "retrain-4").outcome


def test_undoing_a_roll_back_keeps_what_it_came_from(world: World) -> None:
    """v2 to v1 by mistake, then back to v2: v1 is still good and still the way back."""
    world.release("retrain-1")
    world.release("retrain-2")
    world.roll_back("previous")
    world.roll_back("2")

    assert State(serving=2, previous=1, next_version=3) == world.history().state
    world.roll_back("previous")
    assert [1, 1] == world.answering()


def test_a_candidate_whose_seat_a_roll_back_took_is_declined_not_condemned(world: World) -> None:
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    world.approve("retrain-4", load_seconds=1.0)
    world.run("publish", "retrain-4")
    canary = threading.Thread(target=world.roll_back, args=("1",))
    threading.Timer(0.3, canary.start).start()
    with pytest.raises(DeclinedError):
        world.run("canary", "retrain-4")
    canary.join()

    assert [1, 1] == world.answering()
    entry = world.history().withdrawal(4)
    assert entry is not None
    assert (Event.DECLINED, None) == (entry.event, entry.verdict)


def test_the_reason_of_a_withdrawal_is_that_of_what_went_wrong(world: World) -> None:
    """I5: what a canary could not tell before it passed is no reason for a promotion that failed."""
    world.release("retrain-1")
    world.follow_seconds = 1.5
    world.approve("retrain-2")
    world.run("publish", "retrain-2")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError):
        world.run("canary", "retrain-2")
    world.replicas[1].start()
    world.run("canary", "retrain-2")
    world.replicas[0].sleep()
    with pytest.raises(FailedError):
        world.run("promote", "retrain-2")
    world.replicas[0].wake()
    world.run("withdraw", "retrain-2")
    entry = world.history().withdrawal(2)

    assert entry is not None
    assert f"fail: {world.replicas[0].address}: the label answers v1" == entry.reason


def test_a_mistyped_name_leaves_no_trace(world: World) -> None:
    wish = Wish("rollback-1", "previous", "bad", datetime.now(UTC))
    settings = world.context("rollback-1").settings
    with pytest.raises(BadInputError, match="nothing was ever released for 'digit'"):
        rollback(make_context(settings, model="digit", run_key="rollback-1"), wish)
    with pytest.raises(BadInputError, match="is no name of a model"):
        make_context(settings, model="../../x", run_key="rollback-1")

    assert ["digits"] == sorted({path.stem.partition("-")[0] for path in (world.bucket / "serve").iterdir()})


def test_a_crash_between_entry_and_effect_is_healed_by_the_next_verb(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")
    wish = Wish("rollback-5", "1", "and then the power went", datetime.now(UTC))
    world.context("rollback-5").journal.decide(lambda h: next_step(h, wish=wish, target=1, loaded=True))
    assert "value: 2" in world.config.read_text()

    world.context("anything-1").rollout.settle()

    assert "value: 1" in world.config.read_text()


def test_a_client_is_sent_on_when_a_replica_does_not_serve_yet(world: World) -> None:
    world.release("retrain-1")
    world.replicas[0].stop()
    image = np.empty(1, dtype=object)
    image[0] = IMAGES[0]
    with Client(parse_fleet(",".join(replica.address for replica in world.replicas))) as client:
        answers = [client.predict(MODEL, {INPUT: image}).version for _ in range(4)]
        with pytest.raises(NotServedError):
            client.predict("cats", {INPUT: image})

    assert [1, 1, 1, 1] == answers


def test_status_agrees_after_a_release_and_names_what_differs(world: World) -> None:
    world.release("retrain-1")
    assert [] == status(world.context("look-1")).differences

    world.context("x-1").bucket.replace(layout.config(MODEL), b"model_config_list {}\n")
    world.replicas[1].stop()
    differences = status(world.context("look-1")).differences

    assert any("the config renders entry None, the journal is at" in each for each in differences)
    assert any(f"{world.replicas[1].address} gives no answer" in each for each in differences)


def test_a_repeated_verb_answers_with_its_record(world: World) -> None:
    world.release("retrain-1")
    before = world.history().seq
    again = [world.run(verb, "retrain-1") for verb in ("publish", "canary", "promote")]

    assert before == world.history().seq
    assert [1, 1, 1] == [record.summary()["version"] for record in again]
