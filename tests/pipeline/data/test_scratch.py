"""The temporary folder of a snapshot."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.data.snapshot.scratch import scratch_folder
from tests.pipeline.storage.test_disk_full import small_disk


@pytest.mark.parametrize("what", ["table", "parquet", "file"])
@pytest.mark.parametrize("how", ["disk", "limit"])
def test_a_full_disk_of_temporary_files_is_said_in_words(tmp_path: Path, what: str, how: str) -> None:
    done = subprocess.run(
        [
            *(small_disk(tmp_path) if how == "disk" else []),
            *(sys.executable, "-m", "tests.pipeline.data.filling_scratch", what, how),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )

    assert (0, "") == (done.returncode, done.stderr)
    start, end = done.stdout.split(" (")[0], done.stdout.partition("): ")[2]
    assert start == f"the snapshot needs more room for temporary files than there is in {tmp_path}"
    assert end == (
        "about 1 kB for each image. Make room there, or set TMPDIR to a larger folder, then repeat this step"
    )
    assert [] == list(tmp_path.iterdir())


def test_other_errors_are_not_called_a_full_disk() -> None:
    for error in (OSError(errno.EPERM, "not permitted"), sqlite3.IntegrityError("not unique"), ValueError("any")):
        with pytest.raises(type(error)) as raised, scratch_folder():
            raise error
        assert error is raised.value

    with pytest.raises(sqlite3.OperationalError, match="no such table"), scratch_folder() as folder:
        sqlite3.connect(folder / "x.sqlite").execute("SELECT * FROM missing")


def test_the_folder_is_deleted_at_the_end_of_the_block() -> None:
    with scratch_folder() as folder:
        (folder / "x").write_bytes(b"any")

    assert not folder.exists()
