"""The verbs of a run against real model servers: what each replica serves after every way a release can go."""

import threading

import pytest

from pipeline import layout
from pipeline.errors import CouldNotTellError, DamagedError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.state import State
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord, Record
from serving.client import Client
from serving.fleet.fleet import parse_fleet
from serving.signature import inputs_of
from tests.fleet import write_classifier
from tests.released import start_released
from tests.releases import IMAGES, MODEL, World, eventually, over_both


def test_the_first_release_is_loaded_without_a_label_and_then_labelled(world: World) -> None:
    world.publish("retrain-1")
    assert [None, None] == world.answering()

    world.run("canary", "retrain-1")
    assert [None, None] == world.answering()

    world.run("promote", "retrain-1")
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=2) == world.history().state


def test_withdrawing_the_first_release_goes_back_to_the_empty_list(world: World) -> None:
    world.publish("retrain-1", shift=1)
    with pytest.raises(FailedError, match="12 of 12 golden answers differ"):
        world.run("canary", "retrain-1")
    world.run("withdraw", "retrain-1")

    assert "model_config_list {}" in world.config.read_text()
    assert State(next_version=2) == world.history().state


def test_a_release_replaces_the_serving_version_and_keeps_it_in_memory(world: World) -> None:
    start_released(world, 2)

    assert [2, 2] == world.answering()
    assert "versions: 1 versions: 2" in world.config.read_text()


def test_users_never_notice_a_release_nor_meet_a_version_before_its_promotion(world: World) -> None:
    """While a promotion spreads old and new mix; nothing else ever answers, and nothing fails."""
    start_released(world, 1)
    stop = threading.Event()
    versions: set[int] = set()
    sent = [0]

    def ask() -> None:
        fleet = parse_fleet(",".join(replica.address for replica in world.replicas))
        with Client(fleet) as client:
            while not stop.is_set():
                versions.add(client.predict(MODEL, inputs_of(IMAGES[:1])).version)
                sent[0] += 1

    client = threading.Thread(target=ask)
    client.start()
    world.publish("retrain-2", shift=1)
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


def test_a_candidate_damaged_after_publish_meets_no_replica(world: World) -> None:
    """F13: the bytes changed after they were verified; they are read back once more before they are exposed."""
    start_released(world, 1)
    world.publish("retrain-2")
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
    with pytest.raises(DamagedError, match=r"serve/digits/2 is not what was approved: classifier\.json differs"):
        world.run("canary", "retrain-2")

    assert [1, 1] == world.answering()
    assert (Event.PUBLISHED, 2) == world.events()[-1]


def test_a_candidate_damaged_after_its_last_check_is_caught_on_the_replicas(world: World) -> None:
    """F13, F16, F17: it loads and answers wrongly, as one does whose labels or preprocessing are wrong."""
    start_released(world, 1)
    world.publish("retrain-2", shift=2)
    with pytest.raises(FailedError, match="golden answers differ"):
        world.run("canary", "retrain-2")
    record = world.run("withdraw", "retrain-2")

    assert "done" == record.outcome
    assert [1, 1] == world.answering()
    withdrawn = world.history().all()[-1]
    assert (Event.WITHDRAWN, 2) == (withdrawn.event, withdrawn.version)
    assert withdrawn.verdict is not None
    assert 2 == sum("golden answers differ" in reason for reason in withdrawn.verdict.reasons)


@over_both
def test_a_candidate_that_cannot_be_loaded_fails_with_the_servers_words(world: World) -> None:
    """F12."""
    start_released(world, 1)
    world.publish("retrain-2")
    for replica in world.replicas:
        replica.broken = 2
    with pytest.raises(FailedError, match=r"v2 END: out of memory"):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()


@over_both
def test_a_withdrawn_candidate_stays_withdrawn_when_its_tasks_are_cleared(world: World) -> None:
    """I4."""
    start_released(world, 1)
    world.publish("retrain-2", shift=1)
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    with pytest.raises(FailedError, match="v2 was withdrawn"):
        world.run("canary", "retrain-2")
    assert [1, 1] == world.answering()


def test_a_canary_without_an_answer_cannot_tell_and_may_be_asked_again(world: World) -> None:
    """F25: an unreachable replica never promotes, and clearing the task asks it again."""
    start_released(world, 1)
    world.follow_seconds = 1.0
    world.publish("retrain-2")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match="no connection"):
        world.run("canary", "retrain-2")
    world.replicas[1].start()
    assert eventually(lambda: None not in world.answering())

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
    assert not [path for path in (world.bucket / ".tmp").iterdir() if path.is_dir()]


def test_a_version_whose_files_changed_before_publish_ended_is_refused(world: World) -> None:
    """I2: a number's content never changes."""
    world.approve("retrain-1")
    write_classifier(world.bucket / layout.version(MODEL, 1), shift=3)

    with pytest.raises(DamagedError, match=r"is not what was approved: classifier\.json differs"):
        world.run("publish", "retrain-1")
    assert [(Event.CLAIMED, 1)] == world.events()


@over_both
def test_promote_declines_and_gives_its_candidate_up_when_the_world_has_moved(world: World) -> None:
    """A roll-back never waits for a retrain: the retrain finds the state moved. Its answer is final."""
    start_released(world, 2)
    world.publish("retrain-3")
    world.run("canary", "retrain-3")
    world.roll_back("1")
    for _ in range(2):
        with pytest.raises(DeclinedError, match="v1 serves now, and this candidate was compared with v2"):
            world.run("promote", "retrain-3")

    assert [1, 1] == world.answering()
    assert (Event.DECLINED, 3) == world.events()[-1]


def test_a_version_taken_back_stays_loaded_until_the_label_has_left_it(world: World) -> None:
    """Label first: a replica that is late never has a label without a model."""
    start_released(world, 1)
    world.follow_seconds = 1.5
    world.publish("retrain-2")
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
    rolled_back, withdrawn, confirmed = world.history().all()[-3:]

    moves = (rolled_back, withdrawn, confirmed)
    assert [Event.ROLLED_BACK, Event.WITHDRAWN, Event.CONFIRMED] == [each.event for each in moves]
    assert (withdrawn.at - rolled_back.at).total_seconds() > 0.5


def test_a_promotion_that_stops_half_way_is_undone(world: World) -> None:
    """One replica never follows: the run is red, and withdraw brings the label back."""
    start_released(world, 1)
    world.follow_seconds = 1.5
    world.publish("retrain-2")
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


@over_both
@pytest.mark.parametrize(
    ("told", "key"), [("understudy rollback", "retrain-1"), ("not published a version", "retrain-2")]
)
def test_withdraw_declines_what_is_not_its_to_take_back(world: World, told: str, key: str) -> None:
    start_released(world, 1)
    world.approve("retrain-2")

    with pytest.raises(DeclinedError, match=told):
        world.run("withdraw", key)
    assert [1, 1] == world.answering()


@over_both
def test_a_withdraw_that_had_nothing_to_do_is_a_safety_net_again_when_the_run_is_cleared(world: World) -> None:
    """A declined withdraw is no final answer: the task before it may be cleared and then go wrong."""
    start_released(world, 1)
    world.approve("retrain-2", shift=1)
    with pytest.raises(DeclinedError):
        world.run("withdraw", "retrain-2")
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=3) == world.history().state


@over_both
def test_clearing_a_red_withdraw_never_undoes_what_a_person_decided(world: World) -> None:
    start_released(world, 1)
    world.follow_seconds = 1.0
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    world.replicas[1].stop()
    journal = world.context("retrain-2").journal
    verdict = world.context("retrain-2").records.require(CanaryRecord).verdict
    assert verdict is not None
    journal.decide(lambda h: run_rules.promote(h, version=2, compared_with=1, verdict=verdict))
    with pytest.raises(CouldNotTellError, match="v2 is withdrawn"):
        world.run("withdraw", "retrain-2")
    world.replicas[1].start()
    assert eventually(lambda: None not in world.answering())
    world.follow_seconds = 5.0
    world.roll_back("2")
    with pytest.raises(DeclinedError, match="To leave it: `understudy rollback "):
        world.run("withdraw", "retrain-2")

    assert [2, 2] == world.answering()


def test_the_reason_of_a_withdrawal_is_that_of_what_went_wrong(world: World) -> None:
    """I5: what a canary could not tell before it passed is no reason for a promotion that failed."""
    start_released(world, 1)
    world.follow_seconds = 1.5
    world.publish("retrain-2")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError):
        world.run("canary", "retrain-2")
    world.replicas[1].start()
    assert eventually(lambda: None not in world.answering())
    world.run("canary", "retrain-2")
    world.replicas[0].sleep()
    with pytest.raises(FailedError):
        world.run("promote", "retrain-2")
    world.replicas[0].wake()
    world.run("withdraw", "retrain-2")
    entry = world.history().withdrawal(2)

    assert entry is not None
    assert f"fail: {world.replicas[0].address}: the label answers v1" == entry.reason


@over_both
def test_a_confirmed_promotion_whose_record_was_lost_is_still_done(world: World) -> None:
    """The journal has it; clearing the task later takes nothing away, whatever serves by then."""
    start_released(world, 2)
    (world.bucket / layout.record(MODEL, "retrain-2", "promote")).unlink()
    world.release("retrain-3")
    record = world.run("promote", "retrain-2")

    assert "done" == record.outcome
    assert State(serving=3, previous=2, next_version=4) == world.history().state
    with pytest.raises(DeclinedError, match="promoted and confirmed"):
        world.run("withdraw", "retrain-2")
