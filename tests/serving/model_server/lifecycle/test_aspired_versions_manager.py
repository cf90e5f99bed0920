import shutil
import threading

import pytest

from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.servable_state_monitor import ManagerState
from serving.status import NotFoundError, StatusError
from tests.serving.model_server.conftest import MakeWorld
from tests.serving.model_server.world import World, config, eventually


def test_the_old_version_answers_until_the_new_one_is_ready(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    world.add(2)
    world.turn()

    assert world.states() == {2: "AVAILABLE", 1: "END"}
    assert world.shelf.models[1].closed


def test_a_failed_version_stays_failed_while_aspired_and_the_old_one_serves(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    world.add(2, broken=True)
    world.turn()
    (world.base / "2" / "factor").write_text("repaired too late")
    world.turn()

    assert world.states() == {2: "END NOT_FOUND", 1: "AVAILABLE"}
    assert world.shelf.attempts == [1, 2]


def test_a_good_version_above_a_failed_one_is_loaded(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    world.add(2, broken=True)
    world.turn()
    world.add(3)
    world.turn()

    assert world.states() == {3: "AVAILABLE", 2: "END NOT_FOUND", 1: "END"}


def test_nothing_is_said_of_a_version_after_its_next_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails, or goes, and is wanted back at that very moment first ends."""
    said: list[ManagerState] = []

    def publish(servable_id: ServableId, state: ManagerState, error: StatusError | None = None) -> None:
        if state is ManagerState.END:
            for wish in ({}, {1: str(world.base / "1")}):
                world.manager.aspire("m", wish)
                world.manager.step()
        said.append(state)

    world.manager.end_initial_load()
    monkeypatch.setattr(world.monitor, "publish", publish)
    world.add(1, broken=True)
    world.manager.aspire("m", {1: str(world.base / "1")})
    world.manager.step()

    assert said == [ManagerState.START, ManagerState.LOADING, ManagerState.END]
    world.manager.step()

    assert said[3:5] == [ManagerState.START, ManagerState.LOADING]


def test_a_failing_load_is_tried_again_as_often_as_asked(make_world: MakeWorld) -> None:
    world = make_world(load_retries=2)
    world.add(1, broken=True)
    world.watch(config(world.base))
    world.turn()

    assert world.shelf.attempts == [1, 1, 1]
    assert world.states() == {1: "END NOT_FOUND"}


def test_while_it_retries_a_version_is_loading_without_an_error(make_world: MakeWorld) -> None:
    world = make_world(load_retries=1, retry_interval_seconds=60.0, load_threads=1)
    world.add(1, broken=True)
    world.watch(config(world.base))
    world.turn()
    eventually(lambda: world.shelf.attempts == [1])

    assert world.states() == {1: "LOADING"}


def test_a_load_cancelled_on_the_way_is_thrown_away(make_world: MakeWorld) -> None:
    world = make_world(load_threads=1)
    world.shelf.gates[2] = threading.Event()
    world.add(1)
    world.watch(config(world.base, versions=[1]))
    world.turn()
    eventually(lambda: world.states() == {1: "AVAILABLE"})
    world.add(2)
    world.source.update(config(world.base, versions=[1, 2]).model_config_list.config)
    world.turn()
    world.source.update(config(world.base, versions=[1]).model_config_list.config)
    world.turn()
    world.shelf.gates[2].set()
    eventually(lambda: world.states() == {2: "END CANCELLED", 1: "AVAILABLE"})

    assert world.shelf.models[2].closed


def test_a_list_that_wants_back_a_version_on_its_way_out_is_held(world: World) -> None:
    """Version 2 failed and its directory goes: the list {1} is held, because 1 is un-aspired yet serves."""
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    world.add(2, broken=True)
    world.turn()
    shutil.rmtree(world.base / "2")
    world.turn()
    world.add(2)
    world.turn()

    assert world.states() == {2: "END NOT_FOUND", 1: "AVAILABLE"}
    world.add(3)
    world.turn()
    assert world.states() == {3: "AVAILABLE", 2: "END NOT_FOUND", 1: "END"}


def test_going_back_to_a_lower_version_leaves_no_gap(world: World) -> None:
    world.add(1, 2)
    world.watch(config(world.base))
    world.turn()
    shutil.rmtree(world.base / "2")
    world.source.poll()
    world.manager.step()

    assert world.states() == {2: "AVAILABLE", 1: "AVAILABLE"}
    world.turn()
    assert world.states() == {2: "END", 1: "AVAILABLE"}


def test_a_request_in_flight_holds_its_version(make_world: MakeWorld) -> None:
    """Unloading waits for it; new requests already get nothing."""
    world = make_world(unload_threads=1)
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    with world.manager.servable("m", 1):
        world.source.update([])
        world.turn()
        eventually(lambda: world.states() == {1: "UNLOADING"})
        with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(m, 1\)"):
            world.manager.servable("m", 1).__enter__()
        assert not world.shelf.models[1].closed
    eventually(lambda: world.states() == {1: "END"})

    assert world.shelf.models[1].closed


def test_without_a_version_the_highest_ready_one_answers(world: World) -> None:
    world.add(1, 2)
    world.add(3, broken=True)
    world.watch(config(world.base, versions=[1, 2, 3]))
    world.turn()

    with world.manager.servable("m", None) as (servable_id, _):
        assert servable_id == ServableId("m", 2)
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Latest\(other\)"):
        world.manager.servable("other", None).__enter__()


def test_whatever_a_loader_raises_becomes_the_state_of_the_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_servable_id: ServableId, _path: str) -> None:
        raise ZeroDivisionError("in the model")

    monkeypatch.setattr(world.manager, "_load", explode)
    world.add(1)
    world.watch(config(world.base))
    world.turn()

    seen = world.monitor.state(ServableId("m", 1))
    assert seen is not None
    assert (seen.state, str(seen.error)) == (ManagerState.END, "UNKNOWN: ZeroDivisionError: in the model")


def paths(world: World, *versions: int) -> dict[int, str]:
    return {version: f"{world.base}/{version}" for version in versions}


def test_unloading_goes_before_loading_of_another_model(world: World) -> None:
    """Memory is freed before more is asked for, one action at each turn."""
    world.add(1, 2)
    world.watch(config(world.base, versions=[1, 2]))
    world.turn()
    world.manager.aspire("a", paths(world, 2))
    world.manager.aspire("m", paths(world, 2))
    world.manager.step()
    assert (world.states(), world.states("a")) == ({2: "AVAILABLE", 1: "END"}, {2: "START"})
    world.manager.step()

    assert world.states("a") == {2: "AVAILABLE"}


def test_a_version_wanted_back_while_it_is_in_use_is_loaded_anew_when_it_is_gone(make_world: MakeWorld) -> None:
    world = make_world(unload_threads=1)
    world.add(7)
    world.watch(config(world.base))
    world.turn()
    with world.manager.servable("m", None):
        world.manager.aspire("m", {})
        world.manager.step()
        eventually(lambda: world.states() == {7: "UNLOADING"})
        world.manager.aspire("m", paths(world, 7))
        for _ in range(5):
            world.manager.step()
        assert world.shelf.attempts == [7]
    eventually(lambda: world.states() == {7: "END"})
    world.turn()

    assert (world.shelf.attempts, world.states()) == ([7, 7], {7: "AVAILABLE"})


def test_a_failed_version_that_was_unwanted_for_a_turn_is_tried_again(world: World) -> None:
    world.add(7, broken=True)
    world.watch(config(world.base))
    world.turn()
    (world.base / "7" / "factor").write_text("7")
    world.source.update([])
    world.turn()
    world.source.update(config(world.base).model_config_list.config)
    world.turn()

    assert (world.shelf.attempts, world.states()) == ([7, 7], {7: "AVAILABLE"})


def test_a_version_that_had_no_turn_yet_can_be_unwanted_and_wanted_again(world: World) -> None:
    world.add(1, 2)
    world.manager.end_initial_load()
    world.manager.aspire("m", paths(world, 1, 2))
    world.manager.step()
    world.manager.aspire("m", paths(world, 2))
    world.manager.step()
    assert (world.shelf.attempts, world.states()) == ([2], {2: "AVAILABLE", 1: "START"})
    world.manager.aspire("m", paths(world, 1, 2))
    world.manager.step()

    assert world.states() == {2: "AVAILABLE", 1: "AVAILABLE"}


def test_of_several_wishes_the_newest_counts(world: World) -> None:
    world.add(1, 2)
    world.manager.end_initial_load()
    world.manager.aspire("m", paths(world, 1))
    world.manager.aspire("m", paths(world, 2))
    world.manager.step()

    assert world.states() == {2: "AVAILABLE"}


def test_a_new_version_is_available_while_requests_use_the_old_one(make_world: MakeWorld) -> None:
    world = make_world(unload_threads=1)
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    with world.manager.servable("m", None):
        world.add(2)
        world.turn()
        eventually(lambda: world.states() == {2: "AVAILABLE", 1: "UNLOADING"})
        with world.manager.servable("m", None) as (servable_id, _):
            assert servable_id.version == 2
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "END"})


@pytest.mark.parametrize("load_threads", [0, 1])
def test_a_load_that_hangs_keeps_no_request_waiting(make_world: MakeWorld, load_threads: int) -> None:
    world = make_world(load_threads=load_threads)
    world.add(1)
    world.core.reload(config(world.base))
    world.shelf.gates[2] = threading.Event()
    world.add(2)
    eventually(lambda: world.shelf.attempts == [1, 2])
    for _ in range(100):
        with world.manager.servable("m", None) as (servable_id, _):
            assert servable_id.version == 1

    assert world.states() == {2: "LOADING", 1: "AVAILABLE"}


def test_files_written_into_a_loaded_version_are_never_noticed(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    (world.base / "1" / "factor").write_text("99")
    world.turn()

    assert (world.shelf.attempts, world.shelf.models[1].factor) == ([1], 1)


def test_a_model_that_cannot_be_closed_does_not_stop_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode() -> None:
        raise ZeroDivisionError("on the way out")

    world.add(1)
    world.watch(config(world.base))
    world.turn()
    monkeypatch.setattr(world.shelf.models[1], "close", explode)
    world.add(2)
    world.turn()
    world.add(3)
    world.turn()

    assert world.states() == {3: "AVAILABLE", 2: "END", 1: "END"}


def test_a_wish_to_go_back_waits_for_the_version_that_is_still_loading(make_world: MakeWorld) -> None:
    """The unwanted version serves for as long as the wanted one takes to load again: upstream's order, not a wish."""
    world = make_world(load_threads=1)
    world.shelf.gates[2] = threading.Event()
    world.add(1, 2)
    world.watch(config(world.base, versions=[1]))
    world.turn()
    eventually(lambda: world.states() == {1: "AVAILABLE"})
    world.source.update(config(world.base, versions=[2]).model_config_list.config)
    world.turn()
    world.source.update(config(world.base, versions=[1]).model_config_list.config)
    world.turn()
    eventually(lambda: world.states() == {2: "LOADING", 1: "AVAILABLE"})
    world.shelf.gates[2].set()
    eventually(lambda: world.states()[2] == "AVAILABLE")

    def back() -> bool:
        world.turn()
        return world.states() == {2: "END", 1: "AVAILABLE"}

    eventually(back)
    assert world.shelf.attempts == [1, 2, 1]
