"""Models and configs on the local disk, with the errors TensorFlow gives for one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpc import StatusCode

from serving.status import InvalidArgumentError, NotFoundError, StatusError

CODE_BY_ERRNO = {
    errno.ENOENT: StatusCode.NOT_FOUND,
    errno.EACCES: StatusCode.PERMISSION_DENIED,
    errno.EPERM: StatusCode.PERMISSION_DENIED,
    errno.ENOTDIR: StatusCode.FAILED_PRECONDITION,
    errno.EISDIR: StatusCode.FAILED_PRECONDITION,
    errno.EEXIST: StatusCode.ALREADY_EXISTS,
    errno.EMFILE: StatusCode.RESOURCE_EXHAUSTED,
    errno.ENOSPC: StatusCode.RESOURCE_EXHAUSTED,
    errno.EDQUOT: StatusCode.RESOURCE_EXHAUSTED,
}


def disk_error(uri: str, error: OSError) -> StatusError:
    return StatusError(f"{uri}; {error.strerror or error}", CODE_BY_ERRNO.get(error.errno or 0, StatusCode.UNKNOWN))


class LocalDisk:
    """Plain paths and file:// URIs."""

    def check_exists(self, uri: str) -> None:
        try:
            found = path_of(uri).exists()
        except OSError:
            found = False
        if not found:
            raise NotFoundError(f"{uri} not found")

    def children(self, uri: str) -> list[str]:
        try:
            return sorted(child.name for child in path_of(uri).iterdir())
        except OSError as error:
            raise disk_error(uri, error) from error

    def read_text(self, uri: str) -> str:
        try:
            return path_of(uri).read_text("utf-8")
        except OSError as error:
            raise disk_error(uri, error) from error
        except UnicodeDecodeError as error:
            raise InvalidArgumentError(f"{uri} is not text: {error}") from error

    @contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        yield path_of(uri)


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))
