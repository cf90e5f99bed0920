"""Directories that do not outlive their process for long."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.model_server.storage.scratch_directory import MIN_AGE_SECONDS, scratch_directory

ROOT = Path(__file__).parents[4]
# A process that ends in the middle, as one does that is killed.
KILLED = """
import os
from serving.model_server.storage.scratch_directory import scratch_directory

with scratch_directory() as directory:
    (directory / "variables").mkdir()
    (directory / "variables" / "data").write_text("large")
    os._exit(9)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories are made in these tests, here and in processes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def age(directory: Path) -> None:
    then = time.time() - MIN_AGE_SECONDS - 1
    os.utime(directory, (then, then))


def leave_behind(parent: Path) -> Path:
    subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False, timeout=60)
    (left,) = parent.iterdir()
    return left


def test_what_a_killed_process_left_is_removed(parent: Path) -> None:
    left = leave_behind(parent)
    age(left)
    with scratch_directory() as own:
        assert [own] == list(parent.iterdir())

    assert [] == list(parent.iterdir())


def test_what_was_made_just_now_is_left_alone(parent: Path) -> None:
    """It may not be locked yet."""
    left = leave_behind(parent)
    with scratch_directory():
        assert left.exists()


def test_what_is_in_use_is_left_alone(parent: Path) -> None:
    with scratch_directory() as first:
        (first / "data").write_text("in use")
        age(first)
        with scratch_directory() as second:
            assert {first, second} == set(parent.iterdir())
            assert "in use" == (first / "data").read_text()


def test_what_others_put_there_is_left_alone(parent: Path) -> None:
    others = [parent / "model-1", parent / "model-server-link", parent / "model-server-file"]
    others[0].mkdir()
    others[1].symlink_to(others[0])
    others[2].touch()
    for each in others:
        os.utime(each, (0, 0), follow_symlinks=False)
    with scratch_directory():
        assert all(each.exists() for each in others)
