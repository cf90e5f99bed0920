import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from serving.apis import file_system_storage_path_source_pb2, model_pb2
from serving.model_server.lifecycle.storage_path_source import index_children, select
from tests.serving.model_server.conftest import MakeWorld
from tests.serving.model_server.world import World, config, eventually

Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
MANY = ["1", "2", "10", "v3", "4.tmp"]


def test_of_two_names_for_one_number_the_last_in_order_wins() -> None:
    assert index_children(["123", "00000123"]) == {123: "123"}


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        (Policy(), {10}),
        (Policy(latest={}), {10}),
        (Policy(latest={"num_versions": 0}), {10}),
        (Policy(latest={"num_versions": 2}), {10, 2}),
        (Policy(latest={"num_versions": 9}), {1, 2, 10}),
        (Policy(specific={"versions": [77]}), set()),
        (Policy(all={}), {1, 2, 10}),
        (Policy(specific={"versions": [2, 77]}), {2}),
    ],
)
def test_policies(policy: Any, versions: set[int]) -> None:
    assert versions == set(select(policy, MANY))


def test_a_plain_file_with_a_number_for_a_name_is_a_version(world: World) -> None:
    (world.base / "5").write_text("not a directory")
    world.watch(config(world.base))
    world.turn()

    assert world.states() == {5: "END NOT_FOUND"}


def test_specific_finds_names_with_leading_zeros(world: World) -> None:
    world.add("007")
    world.watch(config(world.base, versions=[7]))
    world.turn()

    assert world.states() == {7: "AVAILABLE"}


def test_a_base_path_without_versions_unloads_everything(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    (world.base / "1" / "factor").unlink()
    (world.base / "1").rmdir()
    world.turn()

    assert world.states() == {1: "END"}
    assert world.shelf.models[1].closed


def test_specific_versions_that_are_all_missing_unload_everything(world: World) -> None:
    world.add(1)
    world.watch(config(world.base, versions=[1]))
    world.turn()
    world.source.update(config(world.base, versions=[8]).model_config_list.config)
    world.turn()

    assert world.states() == {1: "END"}


def test_a_missing_base_path_keeps_what_is_served_and_holds_back_every_other_model(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.add(1)
    both = config(world.base)
    both.MergeFrom(config(tmp_path / "elsewhere", name="other"))
    world.watch(config(world.base))
    world.turn()
    world.source.update(both.model_config_list.config)
    world.add(2)
    world.turn()
    world.turn()

    assert world.states() == {1: "AVAILABLE"}
    said = f"Could not find base path {tmp_path / 'elsewhere'} for servable other"
    assert sum(said in line for line in caplog.messages) == 1


def all_versions(base: Path) -> Any:
    whole = config(base)
    whole.model_config_list.config[0].model_version_policy.all.SetInParent()
    return whole


def polling_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "storage poll"]


def test_versions_that_are_renamed_or_removed_are_unloaded(world: World) -> None:
    world.add(1, 2, 3, 5, 8)
    world.watch(all_versions(world.base))
    world.turn(10)
    (world.base / "2").rename(world.base / "2.denied")
    (world.base / "5").rename(world.base / "5.denied")
    shutil.rmtree(world.base / "8")
    world.turn(10)

    assert world.states() == {8: "END", 5: "END", 3: "AVAILABLE", 2: "END", 1: "AVAILABLE"}


def test_version_0_is_a_version_and_can_be_the_latest(world: World) -> None:
    world.add(0)
    world.watch(config(world.base))
    world.turn()

    assert world.answering(model_pb2.ModelSpec(name="m")) == 0


def test_a_poll_interval_of_0_looks_once(make_world: MakeWorld) -> None:
    world = make_world(poll_seconds=0)
    world.add(1)
    world.core.reload(config(world.base))
    eventually(lambda: not polling_threads())
    world.add(2)

    assert world.states() == {1: "AVAILABLE"}


def test_a_negative_poll_interval_never_looks(make_world: MakeWorld) -> None:
    world = make_world(poll_seconds=-1)
    world.add(1)
    world.source.update(config(world.base).model_config_list.config)
    world.source.start()

    assert (polling_threads(), world.states()) == ([], {})


def test_a_model_left_out_is_unloaded_without_another_look(world: World) -> None:
    world.add(1)
    world.watch(config(world.base))
    world.turn()
    world.source.update([])
    world.manager.step()

    assert world.states() == {1: "END"}


def test_a_changed_policy_counts_from_the_next_look(world: World) -> None:
    world.add(1, 2, 3)
    world.watch(config(world.base))
    world.turn()
    world.source.update(all_versions(world.base).model_config_list.config)
    world.turn()
    assert world.states() == dict.fromkeys((3, 2, 1), "AVAILABLE")
    world.source.update(config(world.base, versions=[2]).model_config_list.config)
    world.turn()

    assert world.states() == {3: "END", 2: "AVAILABLE", 1: "END"}


def test_of_two_directories_for_one_version_one_is_served_and_that_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.add("5", "005")
    world.watch(config(world.base))
    world.turn()
    world.turn()

    assert world.states() == {5: "AVAILABLE"}
    assert sum("Duplicate version directories detected: 005, 5" in line for line in caplog.messages) == 1


def test_the_first_missing_base_path_in_the_order_of_the_config_is_told(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = config(tmp_path / "z", name="z")
    both.MergeFrom(config(tmp_path / "a", name="a"))
    world.watch(both)
    world.turn()

    assert f"Could not find base path {tmp_path / 'z'} for servable z with error NOT_FOUND" in caplog.text
    assert "servable a" not in caplog.text


def test_a_base_path_of_another_scheme_is_told_in_tensorflow_s_words(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.watch(config("s3://bucket/m"))
    world.turn()

    said = "for servable m with error UNIMPLEMENTED: File system scheme 's3' not implemented (file: 's3://bucket/m')"
    assert said in caplog.text


def test_a_trailing_slash_of_the_base_path_changes_nothing(world: World) -> None:
    world.add(1)
    world.watch(config(f"{world.base}/"))
    world.turn()

    assert world.states() == {1: "AVAILABLE"}
