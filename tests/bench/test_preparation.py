import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bench.serving.made import made
from bench.serving.processes import BenchError, process, run, wait_until
from tests.serving.model_server.world import eventually

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_folder_is_made_once_for_each_recipe(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    calls: list[Path] = []
    for text in ("one", "one", "two"):
        source.write_text(text)
        made(folder, calls.append, sources=[source])

    assert [folder, folder] == calls


def test_a_folder_whose_making_failed_is_made_anew(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        (path / "half").touch()
        raise BenchError("no")

    with pytest.raises(BenchError):
        made(tmp_path / "folder", fail, sources=[])
    made(tmp_path / "folder", lambda path: (path / "whole").touch(), sources=[])

    assert not (tmp_path / "folder" / "half").exists()
    assert (tmp_path / "folder" / "whole").exists()


def test_processes_end_with_their_children_when_the_block_is_interrupted(tmp_path: Path) -> None:
    log = tmp_path / "parent.log"
    with suppress(KeyboardInterrupt), process([sys.executable, "-c", PARENT], log) as parent:
        wait_until(lambda: log.read_text().endswith("\n"), parent, log)
        child = psutil.Process(int(log.read_text()))
        raise KeyboardInterrupt

    assert not parent.is_running()
    # Init collects an orphan in its own time.
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_server_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "broken.log"
    with (
        process([sys.executable, "-c", "raise SystemExit('no such model')"], log) as started,
        pytest.raises(BenchError, match=r"broken ended: \.\.\.no such model"),
    ):
        wait_until(lambda: False, started, log)


def test_a_program_that_fails_is_reported_with_its_last_words() -> None:
    with pytest.raises(BenchError, match="no disk"):
        run([sys.executable, "-c", "raise SystemExit('no disk')"])
