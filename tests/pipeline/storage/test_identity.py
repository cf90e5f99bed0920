"""The id by which MLflow tells one bucket from another."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import DamagedError
from pipeline.storage.identity import find_identity, make_identity
from pipeline.storage.local import LocalBucket
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.status import status
from tests.half_way import coming
from tests.releases import World


def bucket(folder: Path) -> LocalBucket:
    folder.mkdir(exist_ok=True)
    return LocalBucket(folder)


def test_looking_at_a_bucket_gives_it_no_identity(tmp_path: Path) -> None:
    assert "" == find_identity(bucket(tmp_path / "a")).id
    assert [] == list((tmp_path / "a").iterdir())


def test_two_buckets_have_two_ids(tmp_path: Path) -> None:
    assert make_identity(bucket(tmp_path / "a")).id != make_identity(bucket(tmp_path / "b")).id


def test_all_who_create_it_at_once_get_the_same_id(tmp_path: Path) -> None:
    shared = bucket(tmp_path / "a")
    with ThreadPoolExecutor(8) as pool:
        found = {each.id for each in pool.map(lambda _: make_identity(shared), range(16))}

    assert {find_identity(shared).id} == found


def test_a_bucket_that_was_moved_keeps_its_id_and_has_another_address(tmp_path: Path) -> None:
    before = make_identity(bucket(tmp_path / "a"))
    shutil.move(tmp_path / "a", tmp_path / "b")
    after = find_identity(bucket(tmp_path / "b"))

    assert before.id == after.id
    assert before.address != after.address


@pytest.mark.parametrize("content", ["", "{}", '{"id": ""}', '{"id": "it\'s"}', "nonsense"])
def test_an_id_that_cannot_be_read_is_not_replaced(tmp_path: Path, content: str) -> None:
    damaged = bucket(tmp_path / "a")
    (tmp_path / "a" / layout.IDENTITY).write_text(content)

    with pytest.raises(DamagedError, match="does not hold the id of this bucket: restore it"):
        make_identity(damaged)
    assert content == (tmp_path / "a" / layout.IDENTITY).read_text()


def test_an_id_that_cannot_be_read_hides_nothing_but_mlflow(world: World) -> None:
    """Only MLflow needs it: the state, the replicas and what reconcile has repaired are said all the same."""
    world.release("retrain-1")
    (world.bucket / layout.IDENTITY).write_text("{}")
    found = status(world.context("look-1"))
    repairs = reconcile(coming(world))

    assert found.state is not None
    assert (1, [1, 1]) == (found.state.serving, [each.serving for each in found.found.replicas])
    assert any("does not hold the id of this bucket" in each for each in found.differences)
    assert ["does not hold the id of this bucket" in each for each in repairs.problems] == [True]
