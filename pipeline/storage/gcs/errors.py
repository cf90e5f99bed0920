"""The errors of Google's libraries, translated to those of `pipeline.errors`. Nothing else translates them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from pipeline.errors import MissingError, StorageError
from pipeline.storage.objects import ChangedError, UnansweredError
from serving.gcs.errors import Failure, Kind, translated

_SAID = 300


@contextmanager
def storage_errors(action: str, key: str, *, bucket: str, role: str, since: float | None = None) -> Iterator[None]:
    """Translate every error of the libraries in the block.

    Args:
        action: what the block does, as a verb.
        key: the object or folder it does it to.
        bucket: the address of the bucket.
        role: what to grant if permission is denied.
        since: when it began by `time.monotonic`, if that was before the block.

    Raises:
        StorageError: the message says what to do. `ChangedError`, `MissingError` and `UnansweredError` are its leaves.
    """
    started = time.monotonic() if since is None else since
    what = f"cannot {action} {key} in {bucket}"
    with translated(
        lambda failure: _error(failure, what, grant=f"{role} on {bucket}", seconds=time.monotonic() - started)
    ):
        yield


def _error(failure: Failure, what: str, *, grant: str, seconds: float) -> StorageError:
    said = " ".join(str(failure.cause).split())[:_SAID]
    match failure.kind:
        case Kind.CORRUPT:
            return StorageError(f"{what}: the data arrived damaged; try again ({failure.cause})")
        case Kind.REFUSED:
            assert failure.status is not None
            return _refused(failure.status, what, grant=grant, said=said)
        case Kind.CREDENTIALS:
            return _unknown_caller(what, said)
        case Kind.DISK:
            return StorageError(f"{what}: {said}")
        case Kind.UNANSWERED:
            return UnansweredError(
                f"{what}: tried for {seconds:.1f} s without success; try again once the network and Google Cloud "
                f"Storage are well (last: {said})"
            )


def _refused(status: int, what: str, *, grant: str, said: str) -> StorageError:
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ChangedError(f"{what}: another process has changed it meanwhile")
    if status == HTTPStatus.NOT_FOUND:
        return MissingError(f"{what}: it does not exist")
    if status == HTTPStatus.UNAUTHORIZED:
        return _unknown_caller(what, said)
    if status == HTTPStatus.FORBIDDEN:
        return StorageError(f"{what}: permission denied; grant this account {grant} (Google said: {said})")
    return StorageError(f"{what}: it was refused (Google said: {said})")


def _unknown_caller(what: str, said: str) -> StorageError:
    return StorageError(
        f"{what}: no valid Google credentials; run `gcloud auth application-default login`, or bind the pod's "
        f"service account to one that may use the bucket (Google said: {said})"
    )
