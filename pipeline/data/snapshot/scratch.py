"""The temporary folder of a snapshot: what does not fit there is an error in words."""

import errno
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StorageError

# The last one is that of `ulimit -f`.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder that is deleted at the end of the block.

    Raises:
        StorageError: the disk of temporary files is full, or cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            raise _no_room(str(error)) from error
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise _no_room(str(error.strerror)) from error
        raise


def _no_room(reason: str) -> StorageError:
    return StorageError(
        f"the snapshot needs more room for temporary files than there is in {tempfile.gettempdir()} ({reason}): about "
        f"1 kB for each image. Make room there, or set TMPDIR to a larger folder, then repeat this step"
    )
