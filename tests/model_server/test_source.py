from pathlib import Path
from typing import Any

import pytest

from serving.apis import file_system_storage_path_source_pb2
from serving.model_server.source import index_children, parse_version, select
from tests.model_server.world import World, config

Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
MANY = ["1", "2", "10", "v3", "4.tmp"]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("0", 0),
        ("123", 123),
        ("00000123", 123),
        ("+5", 5),
        ("-5", -5),
        (" 7 ", 7),
        ("20170111173521", 20170111173521),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("v1", None),
        ("1.tmp", None),
        ("7.denied", None),
        ("1_0", None),
        ("٣", None),
        ("", None),
        ("+", None),
        ("0x10", None),
    ],
)
def test_directory_names_are_read_as_simple_atoi_reads_them(name: str, version: int | None) -> None:
    assert version == parse_version(name)


def test_of_two_names_for_one_number_the_last_in_order_wins() -> None:
    assert index_children(["123", "00000123"]) == {123: "123"}


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        (Policy(), {10}),
        (Policy(latest={}), {10}),
        (Policy(latest={"num_versions": 2}), {10, 2}),
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
