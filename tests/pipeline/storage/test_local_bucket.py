"""What only the local disk has: a place aside, and a disk that refuses."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import DamagedError, StorageError
from pipeline.storage.leftovers import described
from pipeline.storage.local import LocalBucket
from tests.pipeline.storage.kinds import MODEL, sums, written

LATER = timedelta(hours=1)


def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    """The bucket's root cannot be a folder."""
    (tmp_path / "bucket").write_text("a file is in the way")

    with pytest.raises(StorageError, match=r"cannot create a\.json"):
        LocalBucket(tmp_path / "bucket").create("a.json", b"")
    assert "a file is in the way" == (tmp_path / "bucket").read_text()


def test_no_scratch_files_are_left(tmp_path: Path) -> None:
    """But for locks, which hold nothing."""
    root = tmp_path / "bucket"
    bucket = LocalBucket(root)
    model = written(tmp_path / "model", MODEL)
    bucket.create("a", b"1")
    bucket.create("a", b"2")
    bucket.replace("a", b"3", instead_of=b"1")
    bucket.replace("a", b"4", instead_of=b"1")
    bucket.upload(model, "f")
    bucket.upload(model, "f")
    bucket.copy("f", "g", expected=sums(MODEL))
    with pytest.raises(DamagedError):
        bucket.copy("f", "h", expected={})

    assert [] == [path for path in (root / ".tmp").iterdir() if path.suffix != ".lock"]
    assert {0} == {path.stat().st_size for path in (root / ".tmp").iterdir()}


def test_what_a_dead_process_has_left_is_tidied_away(tmp_path: Path) -> None:
    """A folder that was being copied, a file that was being written; not the locks, which are empty and in use."""
    bucket = LocalBucket(tmp_path)
    aside = written(tmp_path / ".tmp", {"half/variables": b"x" * 123_456, "entry": b"{}", "a.lock": b""})
    later = datetime.now(UTC) + LATER
    expected = [".tmp/entry, 0.0 MB, less than an hour old", ".tmp/half, 0.1 MB, less than an hour old"]

    assert expected == bucket.tidy(older_than=later, dry_run=True)
    assert ["a.lock", "entry", "half"] == sorted(path.name for path in aside.iterdir())
    assert expected == bucket.tidy(older_than=later, dry_run=False)
    assert ["a.lock"] == [path.name for path in aside.iterdir()]
    assert [] == bucket.tidy(older_than=later, dry_run=False)


def test_what_was_touched_lately_is_left_alone(tmp_path: Path) -> None:
    """A copy has its original's modification time, which may be of last year while the copy is being checked."""
    bucket = LocalBucket(tmp_path)
    aside = written(tmp_path / ".tmp", {"half/variables": b"x"})
    for path in (aside / "half/variables", aside / "half"):
        os.utime(path, (0, 0))

    assert [] == bucket.tidy(older_than=datetime.now(UTC) - LATER, dry_run=False)
    assert (aside / "half/variables").exists()


def test_the_age_is_told_in_days_and_hours() -> None:
    for age, said in (
        (timedelta(minutes=59), "less than an hour old"),
        (timedelta(hours=1, minutes=1), "1 hour old"),
        (timedelta(hours=23, minutes=59), "23 hours old"),
        (timedelta(hours=25), "1 day old"),
        (timedelta(days=3), "3 days old"),
    ):
        assert f"x, {said}" == described("x", since=datetime.now(UTC) - age)


def test_a_copy_that_is_tidied_away_under_way_fails_and_shows_nothing(tmp_path: Path) -> None:
    """Whoever is slower than `older_than` says; the copy can be repeated."""
    bucket = LocalBucket(tmp_path / "bucket")
    bucket.upload(written(tmp_path / "model", MODEL), "staged")

    def meanwhile() -> bool:
        return bool(LocalBucket(tmp_path / "bucket").tidy(older_than=datetime.now(UTC) + LATER, dry_run=False))

    with pytest.raises(StorageError, match="cannot copy to serve/digits/1"):
        bucket.copy("staged", "serve/digits/1", expected=sums(MODEL), still=meanwhile)
    assert [] == bucket.names("serve/digits")

    assert bucket.copy("staged", "serve/digits/1", expected=sums(MODEL))


@pytest.mark.parametrize("act", ["copy", "remove"])
def test_nobody_acts_beside_a_folder_between_the_answer_and_the_effect(tmp_path: Path, act: str) -> None:
    """So whoever removes the last but one version knows that the other stays."""
    bucket = LocalBucket(tmp_path / "bucket")
    bucket.upload(written(tmp_path / "model", MODEL), "staged")
    for number in (1, 2):
        bucket.copy("staged", f"serve/digits/{number}", expected=sums(MODEL))

    with ThreadPoolExecutor(1) as pool:
        other: list[Future[bool]] = []

        def still() -> bool:
            other.append(pool.submit(LocalBucket(tmp_path / "bucket").remove, "serve/digits/2"))
            with pytest.raises(TimeoutError):
                other[0].result(timeout=0.3)
            return "2" in bucket.names("serve/digits")

        if act == "copy":
            assert bucket.copy("staged", "serve/digits/3", expected=sums(MODEL), still=still)
        else:
            assert bucket.remove("serve/digits/1", still=still)

        assert other[0].result(timeout=10)
    assert (["1", "3"] if act == "copy" else []) == bucket.names("serve/digits")
