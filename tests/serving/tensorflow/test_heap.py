"""The C heap, where it is glibc's."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.tensorflow.heap import prepare_heap, trim_heap

ROOT = Path(__file__).parents[3]
# Allocates beside a thread that holds blocks of its own, and says how many arenas there are then.
COUNT = """
import ctypes, threading
from serving.tensorflow.heap import prepare_heap

prepare_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready, leave = threading.Barrier(41), threading.Event()

def hold():
    libc.malloc(100_000)
    ready.wait()
    leave.wait()

threads = [threading.Thread(target=hold) for _ in range(40)]
for thread in threads:
    thread.start()
ready.wait()
libc.malloc_stats()
leave.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_every_thread_has_an_arena_of_its_own() -> None:
    """Forty threads on a few cores: glibc alone would let them share."""
    done = subprocess.run([sys.executable, "-c", COUNT], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stderr.count("Arena ") > 40


def test_both_may_be_called_at_any_time_anywhere() -> None:
    prepare_heap()
    trim_heap()
