"""What only the local disk has: a place aside, and a disk that refuses."""

from pathlib import Path

import pytest

from pipeline.errors import DamagedError, StorageError
from pipeline.storage.local import LocalBucket
from tests.storage.kinds import MODEL, sums, written


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
