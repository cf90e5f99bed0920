"""A list of replicas that names servers of another model: they are never sent a config, and their users notice nothing.

F74: one variable that was forgotten leads a verb to another fleet.
"""

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import BadInputError, CouldNotTellError, FailedError
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.status import status
from pipeline.verbs.train import train
from serving.errors import UnreachableError
from serving.grpc_replica import GrpcReplica
from tests.fleet import RunningReplica, write_classifier
from tests.half_way import coming
from tests.released import start_released
from tests.releases import MODEL, World, eventually

NOT_OURS = "serves pets v1, so it is not a replica of digits, and it was sent no config. Correct the replicas of digits"


@pytest.fixture(params=["a model file", "a journal"])
def pets(world: World, request: pytest.FixtureRequest) -> Iterator[RunningReplica]:
    """A server of pets, which this folder of models or this bucket knows."""
    if request.param == "a model file":
        (world.folder / "pets.yaml").write_text("name: pets\n")
    else:
        (world.bucket / layout.journal("pets")).mkdir(parents=True)
    write_classifier(world.folder / "pets" / "1")
    server = RunningReplica(base_path=world.folder / "pets", restarting=True)
    server.start()
    assert eventually(lambda: behind(server) == 1)
    yield server
    server.stop()


def behind(server: RunningReplica) -> int | None:
    with GrpcReplica(server.address, timeout=2.0) as replica:
        try:
            return replica.version_behind("pets", None)
        except Exception:  # noqa: BLE001 - whatever it is, its user has no answer
            return None


@contextmanager
def asked_all_the_while(server: RunningReplica) -> Iterator[None]:
    """Somebody depends on this server, and is answered every time."""
    over, answers = threading.Event(), list[int | None]()

    def ask() -> None:
        while not over.is_set():
            answers.append(behind(server))

    user = threading.Thread(target=ask)
    user.start()
    try:
        yield
    finally:
        over.set()
        user.join()
    assert {1} == set(answers)


@contextmanager
def listed(world: World, *replicas: RunningReplica) -> Iterator[None]:
    """What UNDERSTUDY_REPLICAS says meanwhile."""
    before, world.replicas = world.replicas, list(replicas)
    try:
        yield
    finally:
        world.replicas = before


def test_no_verb_begins_anything_on_another_fleet(world: World, pets: RunningReplica) -> None:
    start_released(world, 2)
    world.publish("retrain-3")
    before, config = world.history().seq, world.config.read_text()

    with listed(world, pets), asked_all_the_while(pets):
        with pytest.raises(BadInputError, match=f"{NOT_OURS}.* Nothing was changed"):
            world.run("canary", "retrain-3")
        with pytest.raises(BadInputError, match=NOT_OURS):
            train(world.context("retrain-3"))
        with pytest.raises(BadInputError, match=NOT_OURS):
            world.roll_back("previous")
        with pytest.raises(BadInputError, match=NOT_OURS):
            reconcile(coming(world))

    assert (before, config) == (world.history().seq, world.config.read_text())
    assert [2, 2] == world.answering()


def test_a_promotion_that_meets_another_fleet_half_way_sends_it_nothing(world: World, pets: RunningReplica) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")

    with listed(world, pets), asked_all_the_while(pets), pytest.raises(BadInputError, match=NOT_OURS):
        world.run("promote", "retrain-2")

    assert 1 == world.history().state.serving


def test_a_withdrawal_is_not_confirmed_by_another_fleet(world: World, pets: RunningReplica) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")

    with (
        listed(world, pets),
        asked_all_the_while(pets),
        pytest.raises(CouldNotTellError, match=rf"v2 is withdrawn .*\. Not confirmed by {pets.address}: .*{NOT_OURS}"),
    ):
        world.run("withdraw", "retrain-2")

    assert eventually(lambda: [1, 1] == world.answering())


def test_a_roll_back_goes_on_where_some_replicas_are_right_and_names_the_other(
    world: World, pets: RunningReplica
) -> None:
    start_released(world, 2)
    good = world.replicas[0]

    with (
        listed(world, good, pets),
        asked_all_the_while(pets),
        pytest.raises(CouldNotTellError, match=f"Not followed: {pets.address}: .*{NOT_OURS}"),
    ):
        world.roll_back("previous")

    assert 1 == world.history().state.serving
    assert eventually(lambda: [1, 1] == world.answering())


def test_a_server_of_a_model_that_nobody_knows_is_sent_nothing_either(world: World, pets: RunningReplica) -> None:
    """It has no version of this model; that its own is unknown here does not make it ours."""
    (world.folder / "pets.yaml").unlink(missing_ok=True)
    shutil.rmtree(world.bucket / layout.journal("pets"), ignore_errors=True)
    world.release("retrain-1")
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    world.follow_seconds = 1.5

    with listed(world, pets), asked_all_the_while(pets), pytest.raises(FailedError, match="v2 not seen yet"):
        world.run("promote", "retrain-2")


def test_a_roll_back_is_written_down_where_only_another_fleet_answers_of_a_list_with_ours(
    world: World, pets: RunningReplica
) -> None:
    """Those that are down find it when they come back."""
    start_released(world, 2)
    own = world.replicas[0]
    own.stop()
    with listed(world, own, pets), asked_all_the_while(pets), pytest.raises((CouldNotTellError, FailedError)):
        world.roll_back("previous")
    own.start()

    assert eventually(lambda: None not in world.answering())


def test_status_says_first_which_setting_is_wrong(world: World, pets: RunningReplica) -> None:
    start_released(world, 1)

    with listed(world, pets):
        found = status(world.context("look-1"))

    assert found.differences[0].startswith(f"{pets.address} {NOT_OURS}: `understudy fleet show --model digits`")
    assert [] == [told for told in found.differences if pets.address in told][1:]


def test_a_server_with_an_empty_config_is_no_other_fleet_s(world: World) -> None:
    """At its first boot a replica has nothing at all, and it follows by itself."""
    start_released(world, 1)
    world.replicas[1].stop()
    now = world.config.read_text()
    world.config.write_text("model_config_list {}\n")
    world.replicas[1].sleep()
    world.config.write_text(now)
    world.replicas[1].start()
    threading.Timer(0.5, world.replicas[1].wake).start()
    reconcile(coming(world))

    assert [1, 1] == world.answering()


def test_a_server_of_the_other_roll_out_is_sent_no_config(world: World, tmp_path: Path) -> None:
    """It has versions of a model of this name and no label. No file that it polls would undo what it is handed."""
    start_released(world, 2)
    write_classifier(tmp_path / "elsewhere" / MODEL / "1")
    other = RunningReplica(base_path=tmp_path / "elsewhere" / MODEL, restarting=True)
    other.start()

    def answers() -> int | None:
        with GrpcReplica(other.address, timeout=2.0) as replica, suppress(UnreachableError):
            return replica.version_behind(MODEL, None)
        return None

    try:
        assert eventually(lambda: answers() == 1)
        with listed(world, *world.replicas, other), pytest.raises(CouldNotTellError, match=re.escape(other.address)):
            reconcile(coming(world)).require_complete()
        assert 1 == answers()
    finally:
        other.stop()
    assert [2, 2] == world.answering()
