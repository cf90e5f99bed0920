"""Where models and configs are read from, by URI: the local disk, or a bucket of Google Cloud Storage.

A caller gets StatusErrors only, in the words of TensorFlow's file systems where those have any.
"""

import functools
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from serving.model_server.storage.local_disk import LocalDisk
from serving.status import StatusError, UnimplementedError

if TYPE_CHECKING:
    from serving.model_server.storage.gcs_file_system import GcsFileSystem

_SCHEME = re.compile(r"([a-zA-Z][0-9a-zA-Z.]*)://")
_LOCAL_DISK = LocalDisk()


class Storage(Protocol):
    """What every kind of storage promises; see the functions of the same names below."""

    def check_exists(self, uri: str) -> None: ...

    def children(self, uri: str) -> list[str]: ...

    def read_text(self, uri: str) -> str: ...

    def local_copy(self, uri: str) -> AbstractContextManager[Path]: ...


def is_relative(uri: str) -> bool:
    return not scheme_of(uri) and not uri.startswith("/")


def exists(uri: str) -> bool:
    """False too for what this process may not look at, or cannot reach."""
    try:
        check_exists(uri)
    except UnimplementedError:
        raise
    except StatusError:
        return False
    return True


def check_exists(uri: str) -> None:
    """Raise NOT_FOUND when nothing is there; a folder of a bucket is there while any object is below it."""
    _storage(uri).check_exists(uri)


def children(uri: str) -> list[str]:
    """The names directly below, sorted."""
    return _storage(uri).children(uri)


def read_text(uri: str) -> str:
    """The text as it is now: no cache of any kind lies between."""
    return _storage(uri).read_text(uri)


def local_copy(uri: str) -> AbstractContextManager[Path]:
    """A directory of the local disk with all that is below `uri`, for the length of the block.

    What is on the local disk already is not copied. What had to be is deleted when the block ends, however it ends,
    and errors raised in the block name `uri`, not the copy.
    """
    return _storage(uri).local_copy(uri)


def scheme_of(uri: str) -> str:
    """`gs` for gs://bucket/object; empty for a path."""
    match = _SCHEME.match(uri)
    return match[1] if match else ""


def _storage(uri: str) -> Storage:
    match scheme_of(uri):
        case "" | "file":
            return _LOCAL_DISK
        case "gs":
            return gcs_file_system()
    raise _unimplemented(uri)


def _unimplemented(uri: str) -> UnimplementedError:
    return UnimplementedError(f"File system scheme '{scheme_of(uri)}' not implemented (file: '{uri}')")


@functools.cache
def gcs_file_system() -> "GcsFileSystem":
    """One for all threads of the process, made when the first gs:// URI is met: the libraries behind it are heavy."""
    from serving.model_server.storage.gcs_file_system import GcsFileSystem  # noqa: PLC0415

    return GcsFileSystem()
