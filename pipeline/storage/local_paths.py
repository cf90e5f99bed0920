"""Paths of this machine: as text for people, and what an error of the file system says about them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import StorageError
from pipeline.storage.tree import UnreadableError

# These say that the disk, the mount or this process is in trouble, and nothing about one file.
_NO_ANSWER = frozenset(
    {
        errno.EHOSTDOWN,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENOMEM,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def is_text(name: str) -> bool:
    """Whether a name is UTF-8. On Linux it may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def encodable(path: str) -> str:
    """The path as text that UTF-8 can encode, for a log or a file, also if a name in it is not UTF-8."""
    try:
        return os.fsencode(path).decode(errors="backslashreplace")
    except UnicodeEncodeError:
        # No path of a disk.
        return path.encode(errors="backslashreplace").decode()


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Translate the errors of a block that reads one file or folder.

    Raises:
        UnreadableError: it cannot be read.
        StorageError: the disk, the mount or this process is in trouble.
    """
    try:
        yield
    except ValueError as error:
        # A name that no file can have: with a null character, or not text.
        raise UnreadableError(f"cannot be read: {error}") from error
    except OSError as error:
        if error.errno in _NO_ANSWER:
            raise StorageError(
                f"cannot read {encodable(path)}: {error.strerror}; try again once the disk or mount works"
            ) from error
        what = "does not exist" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror}"
        raise UnreadableError(what) from error
