"""Temporary directories: deleted at the end of the block, or at the latest when the next one is made.

A process that is killed, or leaves while a model loads, cannot tidy up, and what it leaves has the size of a model.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "model-server-"
# A directory is locked a moment after it is made; until it is this old, it is not taken for a stale one.
MIN_AGE_SECONDS = 60.0


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory for this user alone. Those of processes that have ended are deleted first."""
    _remove_stale(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name, _locked(Path(name)):
        yield Path(name)


def _remove_stale(parent: Path) -> None:
    for directory in parent.glob(f"{PREFIX}*"):
        # Another user's, in use, or gone by now.
        with suppress(OSError):
            if time.time() - directory.lstat().st_mtime < MIN_AGE_SECONDS:
                continue
            with _locked(directory):
                shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock that ends with the process; raises OSError while another holds it."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
