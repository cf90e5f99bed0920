"""The latest roll-out against real servers, in every state that tf-serving's rules can leave one in."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import BadInputError, CouldNotTellError, DamagedError, FailedError, StorageError
from pipeline.inspection.rollback_plan import plan
from pipeline.journal.entries import Event
from pipeline.journal.state import State
from pipeline.runs.records import CanaryRecord
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.rollback import request_for
from pipeline.verbs.status import status
from serving.client import Client
from serving.fleet.fleet import parse_fleet
from serving.grpc_replica import GrpcReplica
from serving.signature import inputs_of
from tests.released import start_released
from tests.releases import IMAGES, MODEL, World, eventually


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A bucket and two replicas that poll the model's base path."""
    made = World(tmp_path, rollout="latest")
    made.start()
    yield made
    made.stop()


def found(world: World) -> list[str]:
    """The versions servers find."""
    base_path = world.bucket / layout.versions(MODEL)
    return sorted(path.name for path in base_path.iterdir()) if base_path.exists() else []


def state_of(world: World, number: int, version: int) -> str | None:
    with GrpcReplica(world.replicas[number].address, timeout=2.0) as replica:
        each = replica.status(MODEL, version)
    return each.state if each else None


def test_publishing_puts_nothing_where_a_server_looks(world: World) -> None:
    world.publish("retrain-1")

    assert [] == found(world)
    assert (world.bucket / layout.published(MODEL, 1) / "saved_model.pb").exists()


def test_servers_find_what_serves_and_what_was_before_it(world: World) -> None:
    start_released(world, 3)

    assert ["2", "3"] == found(world)
    assert [3, 3] == world.answering()
    assert State(serving=3, previous=2, next_version=4) == world.history().state


def test_a_bad_candidate_is_taken_back_by_its_canary(world: World) -> None:
    """Users see it, so nothing waits for the task that would withdraw it."""
    start_released(world, 1)
    world.publish("retrain-2", shift=1)
    with pytest.raises(FailedError, match="golden answers differ"):
        world.run("canary", "retrain-2")

    assert (Event.WITHDRAWN, 2) in world.events()
    assert ["1"] == found(world)
    assert "done" == world.run("withdraw", "retrain-2").outcome
    assert [1, 1] == world.answering()


def test_a_bad_first_release_leaves_nothing_to_serve(world: World) -> None:
    world.publish("retrain-1", shift=1)
    with pytest.raises(FailedError):
        world.run("canary", "retrain-1")
    world.run("withdraw", "retrain-1")

    assert [] == found(world)
    assert [None, None] == world.answering()
    assert 2 == world.release("retrain-2")


def test_the_canary_stops_at_the_first_replica_that_answers_badly(world: World) -> None:
    """The others have not even loaded it; F27 in reverse: what one replica shows is enough."""
    start_released(world, 1)
    world.publish("retrain-2", shift=1)
    world.replicas[1].sleep()
    with pytest.raises(FailedError, match="golden answers differ") as failed:
        world.run("canary", "retrain-2")

    assert world.replicas[1].address not in str(failed.value)
    world.replicas[1].wake()
    world.run("withdraw", "retrain-2")
    assert [1, 1] == world.answering()


def test_what_a_load_takes_is_kept_without_the_time_of_the_questions(world: World) -> None:
    """A roll-back is forecast by it."""
    world.publish("retrain-1", milliseconds=100)
    start = time.monotonic()
    canary = world.run("canary", "retrain-1")

    assert isinstance(canary, CanaryRecord)
    # Every one of two dozen questions takes a tenth of a second, and the load none.
    assert 0 < (canary.load_seconds or 0) < (time.monotonic() - start) / 2


def test_no_request_fails_while_versions_come_and_go(world: World) -> None:
    start_released(world, 1)
    stop, versions, failures = threading.Event(), set[int](), list[str]()

    def ask() -> None:
        with Client(parse_fleet(",".join(each.address for each in world.replicas)), label=None) as client:
            while not stop.is_set():
                try:
                    versions.add(client.predict(MODEL, inputs_of(IMAGES[:1])).version)
                except Exception as error:  # noqa: BLE001 - whatever a user may meet
                    failures.append(str(error))

    client = threading.Thread(target=ask)
    client.start()
    world.release("retrain-2")
    world.publish("retrain-3", shift=1)
    with pytest.raises(FailedError):
        world.run("canary", "retrain-3")
    world.run("withdraw", "retrain-3")
    world.roll_back("previous")
    stop.set()
    client.join()

    assert [] == failures
    assert {1, 2} <= versions
    assert [1, 1] == world.answering()


def test_a_candidate_that_fails_to_load_leaves_what_serves(world: World) -> None:
    """Case a: the old version is held for ever, and serves; the next one is taken up all the same."""
    start_released(world, 1)
    world.publish("retrain-2")
    for replica in world.replicas:
        replica.broken = 2
    with pytest.raises(FailedError, match=r"v2 END: out of memory"):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()
    world.release("retrain-3")
    assert [3, 3] == world.answering()


def test_a_candidate_still_loading_when_it_is_withdrawn_does_not_stay(world: World) -> None:
    """Case b: a load that is under way may finish and be served; it is waited for, per replica."""
    start_released(world, 1)
    world.follow_seconds = 1.0
    world.publish("retrain-2", load_seconds=2.0)
    with pytest.raises(FailedError, match="v2 LOADING"):
        world.run("canary", "retrain-2")
    world.follow_seconds = 10.0
    world.run("withdraw", "retrain-2")

    assert ["END", "END"] == [state_of(world, number, 2) for number in range(2)]
    assert [1, 1] == [world.history().original(version or 0) for version in world.answering()]


def test_what_was_before_is_put_back_where_it_was_removed(world: World) -> None:
    """Case c: the target is gone from below the base path; the copy that nobody serves from is still there."""
    start_released(world, 2)
    shutil.rmtree(world.bucket / layout.version(MODEL, 1))
    world.roll_back("previous")

    assert [1, 1] == world.answering()
    assert ["1"] == found(world)


def test_a_target_that_is_nowhere_is_refused_and_what_serves_stays(world: World) -> None:
    """F42: the base path is never emptied for a target that cannot be had."""
    start_released(world, 2)
    for folder in (layout.version(MODEL, 1), layout.published(MODEL, 1)):
        shutil.rmtree(world.bucket / folder)
    with pytest.raises(FailedError, match=r"because files are damaged: v1: no folder published/digits/1"):
        world.roll_back("previous")

    assert [2, 2] == world.answering()
    assert ["2"] == found(world)


def test_a_replica_that_restarts_on_a_broken_highest_version_comes_up_once_that_is_gone(world: World) -> None:
    """F51."""
    start_released(world, 1)
    world.publish("retrain-2")
    for replica in world.replicas:
        replica.broken = 2
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    world.replicas[0].stop()
    world.replicas[0].start()
    world.run("withdraw", "retrain-2")

    assert eventually(lambda: world.answering() == [1, 1])


def test_a_server_with_default_flags_that_is_held_up_by_retries_follows_when_they_end(world: World) -> None:
    """Its manager tries the broken version again and again and does nothing else meanwhile; users get the old one."""
    held_up = world.replica(default_flags=True)
    world.replicas[1].stop()
    world.replicas[1] = held_up
    held_up.start()
    world.release("retrain-1")
    world.follow_seconds = 0.5
    world.publish("retrain-2")
    held_up.broken = 2
    with pytest.raises((FailedError, CouldNotTellError)):
        world.run("canary", "retrain-2")
    assert 1 == world.answering()[1]
    world.follow_seconds = 10.0
    world.run("withdraw", "retrain-2")

    serving = world.history().state.serving
    assert serving is not None
    assert 1 == world.history().original(serving)
    assert eventually(lambda: world.answering() == [serving, serving])


def test_a_replica_that_cannot_go_back_to_a_number_gets_the_model_under_a_new_one(world: World) -> None:
    """It failed to load v1 once, and would not try v1 again; v3 is v1's model, and is loaded."""
    start_released(world, 2)
    world.replicas[1].broken = 1
    done = world.roll_back("previous")
    history = world.history()

    assert 3 == done.version
    assert [3, 3] == world.answering()
    assert 1 == history.original(3)
    assert [(Event.ROLLED_BACK, 1), (Event.REISSUED, 3), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 3)] == world.events()[
        -4:
    ]
    content = (world.bucket / layout.version(MODEL, 3) / "saved_model.pb").read_bytes()
    assert content == (world.bucket / layout.published(MODEL, 1) / "saved_model.pb").read_bytes()


def test_after_a_reissue_releases_and_roll_backs_go_on(world: World) -> None:
    start_released(world, 2)
    world.replicas[1].broken = 1
    world.roll_back("previous")
    world.replicas[1].broken = None
    assert 4 == world.release("retrain-4")
    assert State(serving=4, previous=3, next_version=5) == world.history().state
    assert 3 == world.roll_back("previous").version

    assert [3, 3] == world.answering()
    with pytest.raises(BadInputError, match="no previous good version"):
        world.roll_back("previous")


def test_a_candidate_damaged_where_servers_find_it_is_caught(world: World) -> None:
    """F13: after its last check, in the moment it appears."""
    start_released(world, 1)
    world.publish("retrain-2")
    folder = world.bucket / layout.version(MODEL, 2)

    def damage() -> None:
        while not folder.exists():
            time.sleep(0.001)
        (folder / "classifier.json").write_text(json.dumps({"shift": 1}))

    damager = threading.Thread(target=damage)
    damager.start()
    with pytest.raises(FailedError, match="golden answers differ"):
        world.run("canary", "retrain-2")
    damager.join()
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()


def test_a_candidate_damaged_after_publish_is_not_exposed(world: World) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    (world.bucket / layout.published(MODEL, 2) / "classifier.json").write_text('{"shift": 2}')
    with pytest.raises(DamagedError, match=r"published/digits/2 is not what was approved"):
        world.run("canary", "retrain-2")

    assert ["1"] == found(world)


def test_without_a_baseline_nothing_is_exposed(world: World) -> None:
    """What serves must answer everywhere before its place is taken."""
    start_released(world, 1)
    world.publish("retrain-2")
    world.follow_seconds = 0.5
    world.replicas[1].stop()
    with pytest.raises(
        CouldNotTellError, match=r"not every replica answers from v1, so .* The candidate was not loaded"
    ):
        world.run("canary", "retrain-2")

    assert ["1"] == found(world)
    assert 1 == world.history().state.serving


def test_a_number_that_nobody_claimed_stops_every_verb(world: World) -> None:
    """F49: servers take it up at once, and no verb may take it for its own."""
    start_released(world, 1)
    shutil.copytree(world.bucket / layout.version(MODEL, 1), world.bucket / layout.version(MODEL, 9))
    with pytest.raises(
        StorageError, match="contains the versions v9, which are not in the journal, and servers serve the highest"
    ):
        world.publish("retrain-2")

    assert any("the folder of versions contains '9'" in each for each in status(world.context("look-1")).differences)


def test_status_says_what_lies_below_the_base_path_and_should_not(world: World) -> None:
    start_released(world, 2)
    world.roll_back("previous")
    shutil.copytree(world.bucket / layout.published(MODEL, 2), world.bucket / layout.version(MODEL, 2))
    differences = status(world.context("look-1")).differences
    reconcile(world.context("reconcile-1"))

    assert any(
        each.startswith("serve/digits/2 should not exist, because servers take the highest") for each in differences
    )
    assert ["1"] == found(world)


def test_a_bucket_keeps_its_roll_out(world: World) -> None:
    """A shell with another setting moves nothing."""
    start_released(world, 1)
    before = world.history().seq
    world.rollout = "pinned"
    with pytest.raises(BadInputError, match="is served by the roll-out 'latest', and its fleet record, or "):
        world.publish("retrain-2")

    assert before == world.history().seq


def test_a_plan_and_status_say_first_that_the_roll_out_is_another(world: World) -> None:
    """What else they would find, files that are not where the other roll-out has them, leads astray."""
    start_released(world, 2)
    world.rollout = "pinned"
    context = world.context("rollback-1")
    with pytest.raises(BadInputError, match="is served by the roll-out 'latest', and its fleet record, or"):
        plan(context, request_for(context, to="1", reason="it is bad", asked_at=None))
    (told,) = status(world.context("look-1")).differences

    assert (
        "the servers of this bucket use the roll-out 'latest', and the fleet record, or UNDERSTUDY_ROLLOUT if there is "
        "none, says 'pinned'" in told
    )


def test_a_server_of_another_bucket_is_not_led_away_from_what_it_serves(world: World, tmp_path: Path) -> None:
    """Somebody has forgotten the settings of this fleet, and acts on a bucket that was used before."""
    start_released(world, 3)
    elsewhere = World(tmp_path / "elsewhere", follow_seconds=2.0)
    elsewhere.start(1)
    elsewhere.release("retrain-1")
    elsewhere.release("retrain-2")
    elsewhere.stop()
    elsewhere.replicas = world.replicas
    with pytest.raises(
        BadInputError, match=r"serves digits v3, and the journal in .*elsewhere.* does not contain that version"
    ):
        elsewhere.roll_back("1")

    assert [3, 3] == world.answering()


@pytest.mark.parametrize("to", ["previous", "1"])
def test_a_roll_back_takes_a_candidate_back_that_users_see(world: World, to: str) -> None:
    """Whoever is on call sees v2 answer: going back means v1, and that is what serves by the journal all the while."""
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    assert [2, 2] == world.answering()
    done = world.roll_back(to)

    assert (1, 2) == (done.version, done.left)
    assert [1, 1] == world.answering()
    assert (Event.WITHDRAWN, 2) == world.events()[-1]
    with pytest.raises(FailedError, match="v2 was withdrawn: it is bad"):
        world.run("promote", "retrain-2")
