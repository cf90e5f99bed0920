"""The release verbs against real model servers: what each replica serves after every way a release can go."""

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import layout
from pipeline.errors import BadInputError, CouldNotTellError, FailedError
from pipeline.records import CanaryRecord, PromoteRecord, PublishRecord
from pipeline.release import decisions
from pipeline.release.journal import Event
from pipeline.release.state import State
from pipeline.verbs.canary import canary
from pipeline.verbs.promote import promote
from pipeline.verbs.publish import publish
from pipeline.verbs.rollback import rollback
from pipeline.verbs.status import status
from serving.canary import INPUT
from serving.client import Client
from serving.errors import NotServedError
from serving.fleet import parse_fleet
from tests.fleet import POLL_SECONDS, write_classifier
from tests.releases import IMAGES, MODEL, World


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_first_release_is_loaded_without_a_label_and_then_labelled(world: World) -> None:
    context = world.approve("retrain-1")
    context.records.finish(publish(context))
    assert [None, None] == world.answering()

    context.records.finish(canary(context))
    assert [None, None] == world.answering()

    context.records.finish(promote(context))
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=2) == world.history().state


def test_withdrawing_the_first_release_goes_back_to_the_empty_list(world: World) -> None:
    context = world.approve("retrain-1", shift=1)
    context.records.finish(publish(context))
    with pytest.raises(FailedError, match="12 of 12 golden answers differ"):
        canary(context)
    world.withdraw("retrain-1")

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
    context = world.approve("retrain-2", shift=1)
    context.records.finish(publish(context))
    with pytest.raises(FailedError):
        canary(context)
    world.withdraw("retrain-2")
    dark = set(versions)
    world.release("retrain-3")
    stop.set()
    client.join()

    assert {1} == dark
    assert {1, 3} == versions
    assert sent[0] > 100


def test_a_candidate_damaged_after_publish_is_caught_on_the_replicas(world: World) -> None:
    """F13: the bytes changed after they were verified, and the model loads and answers wrongly."""
    world.release("retrain-1")
    context = world.approve("retrain-2")
    context.records.finish(publish(context))
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
    with pytest.raises(FailedError, match="golden answers differ"):
        canary(context)
    record = world.withdraw("retrain-2")

    assert "done" == record.outcome
    assert [1, 1] == world.answering()
    withdrawn = world.history().entries[-1]
    assert (Event.WITHDRAWN, 2) == (withdrawn.event, withdrawn.version)
    assert withdrawn.verdict is not None
    assert 2 == sum("golden answers differ" in reason for reason in withdrawn.verdict.reasons)


def test_a_candidate_that_cannot_be_loaded_fails_with_the_servers_words(world: World) -> None:
    """F12."""
    world.release("retrain-1")
    context = world.approve("retrain-2")
    context.records.finish(publish(context))
    (world.bucket / layout.version(MODEL, 2) / "classifier.json").unlink()
    with pytest.raises(FailedError, match=r"v2 END: .*Could not find SavedModel"):
        canary(context)
    world.withdraw("retrain-2")

    assert [1, 1] == world.answering()


def test_a_withdrawn_candidate_stays_withdrawn_when_its_tasks_are_cleared(world: World) -> None:
    """I4."""
    world.release("retrain-1")
    context = world.approve("retrain-2", shift=1)
    context.records.finish(publish(context))
    with pytest.raises(FailedError):
        canary(context)
    world.withdraw("retrain-2")

    with pytest.raises(FailedError, match="v2 was withdrawn"):
        canary(context)
    assert [1, 1] == world.answering()


def test_a_canary_without_an_answer_cannot_tell_and_may_be_asked_again(world: World) -> None:
    """F25: an unreachable replica never promotes, and clearing the task asks it again."""
    world.release("retrain-1")
    world.follow_seconds = 1.0
    context = world.approve("retrain-2")
    context.records.finish(publish(context))
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match="no connection"):
        canary(context)
    world.replicas[1].start()

    assert "done" == canary(world.context("retrain-2")).outcome


def test_publishing_twice_ends_with_one_version_of_the_same_bytes(world: World) -> None:
    """F10, I6: a zombie and its retry overlap."""
    context = world.approve("retrain-1")
    barrier = threading.Barrier(4)
    records: list[PublishRecord] = []

    def compete() -> None:
        own = world.context("retrain-1")
        barrier.wait()
        records.append(publish(own))

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4 == len(records)
    assert 1 == len({(record.version, tuple(record.files.items())) for record in records})
    assert [(Event.CLAIMED, 1), (Event.PUBLISHED, 1)] == world.events()
    assert ["1"] == context.bucket.names(layout.versions(MODEL))
    assert [] == context.bucket.names(layout.staging(MODEL, "retrain-1", "").rstrip("/"))


def test_a_version_whose_files_changed_before_publish_ended_is_refused(world: World) -> None:
    """I2: a number's content never changes."""
    context = world.approve("retrain-1")
    write_classifier(world.bucket / layout.version(MODEL, 1), shift=3)

    with pytest.raises(FailedError, match=r"differs from the evaluated model in classifier\.json"):
        publish(context)
    assert [(Event.CLAIMED, 1)] == world.events()


def test_promote_declines_and_withdraws_its_candidate_when_the_world_has_moved(world: World) -> None:
    """A roll-back never waits for a retrain: the retrain finds the state moved."""
    world.release("retrain-1")
    world.release("retrain-2")
    context = world.approve("retrain-3")
    context.records.finish(publish(context))
    context.records.finish(canary(context))
    world.roll_back("1")
    record = promote(context)

    assert "declined" == record.outcome
    assert "v1 is serving, and this candidate was compared with v2" in record.reason
    assert [1, 1] == world.answering()
    assert world.history().withdrawal(3) is not None


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
    with pytest.raises(FailedError, match=r"v1 cannot be loaded: .*; v3 still serves"):
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
        rollback(world.context("rollback-9"), to="previous", reason="  ", asked_at=datetime.now(UTC))

    assert [2, 2] == world.answering()


def test_already_there_is_success_and_writes_nothing(world: World) -> None:
    """F43."""
    world.release("retrain-1")
    world.release("retrain-2")
    before = world.history().seq
    world.roll_back("2")

    assert before == world.history().seq


def test_a_roll_back_acts_first_and_then_names_who_did_not_follow(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")
    world.replicas[1].stop()
    with pytest.raises(CouldNotTellError, match=re.escape(f"not followed: {world.replicas[1].address}")):
        world.roll_back("previous")

    assert 1 == world.history().state.serving
    world.replicas[1].start()
    world.roll_back("previous")
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=3) == world.history().state


def test_a_replica_that_slept_through_the_expose_is_healed_at_promotion(world: World) -> None:
    """A server refuses for ever a config whose label points at a version it has not loaded."""
    world.release("retrain-1")
    context = world.approve("retrain-2")
    context.records.finish(publish(context))
    context.records.finish(canary(context))
    # It drops the candidate behind our back, as a replica does that restarts on an old copy of the config.
    sleeper = world.replicas[1]
    sleeper.stop()
    entry = world.history().entries[-1]
    context.bucket.replace(
        layout.config(MODEL), world.config.read_text().replace("versions: 1 versions: 2", "versions: 1").encode()
    )
    sleeper.sleep()
    context.rollout.settle()
    sleeper.start()
    assert entry.seq == world.history().seq
    context.journal.decide(
        lambda h: decisions.promote(h, version=2, compared_with=1, verdict=context.records.need(CanaryRecord).verdict)  # type: ignore[arg-type]
    )
    context.rollout.settle()
    sleeper.wake()
    assert eventually(lambda: world.answering()[0] == 2)
    time.sleep(5 * POLL_SECONDS)
    assert [2, 1] == world.answering()

    record = promote(context)

    assert [2, 2] == world.answering()
    assert 2 == len(record.replicas)


def test_a_replica_that_slept_through_an_expose_is_healed_by_a_roll_back(world: World) -> None:
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
    sleeper = world.replicas[1]
    sleeper.sleep()
    threading.Timer(1.0, sleeper.wake).start()
    world.roll_back("1")

    assert [1, 1] == world.answering()


def test_a_promotion_that_stops_half_way_is_undone(world: World) -> None:
    """One replica never follows: the run is red, and withdraw brings the label back."""
    world.release("retrain-1")
    world.follow_seconds = 1.5
    context = world.approve("retrain-2")
    context.records.finish(publish(context))
    context.records.finish(canary(context))
    world.replicas[1].sleep()
    with pytest.raises(FailedError, match="the label answers v1"):
        promote(context)
    assert [2, 1] == world.answering()
    world.replicas[1].wake()
    record = world.withdraw("retrain-2")

    assert "done" == record.outcome
    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=3) == world.history().state


def test_withdraw_declines_what_was_promoted_and_confirmed_and_what_never_was_published(world: World) -> None:
    world.release("retrain-1")
    world.approve("retrain-2")

    assert "use rollback" in world.withdraw("retrain-1").reason
    assert "declined" == world.withdraw("retrain-2").outcome
    assert [1, 1] == world.answering()


def test_a_crash_between_entry_and_effect_is_healed_by_the_next_verb(world: World) -> None:
    world.release("retrain-1")
    world.release("retrain-2")
    journal = world.context("rollback-5").journal
    journal.decide(lambda h: decisions.roll_back(h, target=1, reason="and then the power went"))
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


def test_records_answer_a_repeated_verb_at_once(world: World) -> None:
    world.release("retrain-1")
    records = world.context("retrain-1").records

    assert 1 == records.need(PublishRecord).version
    assert 1 == records.need(PromoteRecord).version
