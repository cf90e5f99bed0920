"""What every bucket must do; the local disk does it."""

import threading
from pathlib import Path

import pytest

from pipeline.errors import MissingError, StorageError
from pipeline.storage import Bucket


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "bucket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "variables.index").write_bytes(b"index")
    return path


def test_creating_what_exists_changes_nothing(bucket: Bucket) -> None:
    assert bucket.create("a/b.json", b"first")
    assert not bucket.create("a/b.json", b"second")
    assert b"first" == bucket.read("a/b.json")


def test_of_many_who_create_at_once_exactly_one_does(bucket: Bucket) -> None:
    barrier = threading.Barrier(16)
    created: list[int] = []

    def compete(number: int) -> None:
        barrier.wait()
        if bucket.create("journal/digits/00000001.json", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(created)
    assert str(created[0]).encode() == bucket.read("journal/digits/00000001.json")


def test_replacing_shows_the_old_or_the_new_never_a_part(bucket: Bucket) -> None:
    contents = [b"a" * 200_000, b"b" * 300_000]
    bucket.replace("serve/digits.config", contents[0])
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(bucket.read("serve/digits.config"))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        bucket.replace("serve/digits.config", contents[turn % 2])
    done.set()
    reader.join()

    assert seen <= set(contents)


def test_reading_what_is_not_there_says_so(bucket: Bucket) -> None:
    with pytest.raises(MissingError, match=r"cannot read runs/x\.json"):
        bucket.read("runs/x.json")
    with pytest.raises(MissingError, match="no folder serve/digits/9"):
        bucket.digests("serve/digits/9")
    assert [] == bucket.names("journal/digits")


def test_a_folder_appears_whole_and_once(bucket: Bucket, folder: Path) -> None:
    assert bucket.upload(folder, "serve/digits/1")
    (folder / "saved_model.pb").write_bytes(b"another graph")
    assert not bucket.upload(folder, "serve/digits/1")

    assert b"graph" == bucket.read("serve/digits/1/saved_model.pb")
    assert {"saved_model.pb", "variables/variables.index"} == set(bucket.digests("serve/digits/1"))
    assert 10 == bucket.size("serve/digits/1")


def test_a_copy_has_the_same_digests_and_a_move_leaves_nothing(bucket: Bucket, folder: Path) -> None:
    bucket.upload(folder, "runs/digits/model")
    bucket.copy("runs/digits/model", "staging/digits/x")
    assert bucket.move("staging/digits/x", "serve/digits/1")

    assert bucket.digests("runs/digits/model") == bucket.digests("serve/digits/1")
    assert not bucket.exists("staging/digits/x")


def test_moving_onto_what_exists_leaves_both(bucket: Bucket, folder: Path) -> None:
    bucket.upload(folder, "serve/digits/1")
    bucket.upload(folder, "staging/digits/x")

    assert not bucket.move("staging/digits/x", "serve/digits/1")
    assert bucket.exists("staging/digits/x")


def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    """F50, as far as a test may go: the bucket's root cannot be a folder."""
    (tmp_path / "bucket").write_text("a file is in the way")

    with pytest.raises(StorageError, match=r"cannot create a\.json"):
        Bucket(tmp_path / "bucket").create("a.json", b"")
    assert "a file is in the way" == (tmp_path / "bucket").read_text()


def test_no_scratch_files_are_left(bucket: Bucket, tmp_path: Path, folder: Path) -> None:
    bucket.create("a", b"1")
    bucket.create("a", b"2")
    bucket.replace("a", b"3")
    bucket.upload(folder, "f")
    bucket.upload(folder, "f")

    assert [] == list((tmp_path / "bucket" / ".tmp").iterdir())
