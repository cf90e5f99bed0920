"""The one border between what the Google libraries raise and our errors."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
import urllib3
from google.api_core.exceptions import GoogleAPIError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError

from pipeline.errors import MissingError, StorageError
from pipeline.storage.objects import ChangedError, UnansweredError

# Transient errors: the library has retried them already. Whether a write happened is not known.
MAY_PASS = (408, 429, 500, 502, 503, 504)
_SAID = 300


@contextmanager
def storage_errors(action: str, key: str, *, bucket: str, since: float | None = None) -> Iterator[None]:
    """Let nothing of the libraries out of this block.

    Args:
        action: what the block does, as a verb.
        key: the object or folder it does it to.
        bucket: the address of the bucket.
        since: when it began by `time.monotonic`, where that was before the block.
    """
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    started = time.monotonic() if since is None else since
    what = f"cannot {action} {key} in {bucket}"
    try:
        yield
    except DataCorruption as error:
        raise StorageError(f"{what}: the data arrived damaged; try again ({error})") from error
    # OSError covers `requests`, and the local disk an upload is read from.
    except (GoogleAPIError, GoogleAuthError, InvalidResponse, urllib3.exceptions.HTTPError, OSError) as error:
        raise _translated(error, what, bucket=bucket, seconds=time.monotonic() - started) from error


def _translated(error: Exception, what: str, *, bucket: str, seconds: float) -> StorageError:
    cause = getattr(error, "cause", error) if isinstance(error, RetryError) else error
    said = " ".join(str(cause).split())[:_SAID]
    status = _status(cause)
    if status is not None and status not in MAY_PASS:
        return _refused(status, what, bucket=bucket, said=said)
    if isinstance(cause, GoogleAuthError) and not isinstance(cause, TransportError):
        return _unknown_caller(what, said)
    if isinstance(cause, OSError) and not isinstance(cause, (requests.RequestException, ConnectionError, TimeoutError)):
        return StorageError(f"{what}: {said}")
    return UnansweredError(
        f"{what}: tried for {seconds:.1f} s without success; try again once the network and Google Cloud Storage "
        f"are well (last: {said})"
    )


def _refused(status: int, what: str, *, bucket: str, said: str) -> StorageError:
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ChangedError(f"{what}: another process has changed it meanwhile")
    if status == HTTPStatus.NOT_FOUND:
        return MissingError(f"{what}: it does not exist")
    if status == HTTPStatus.UNAUTHORIZED:
        return _unknown_caller(what, said)
    if status == HTTPStatus.FORBIDDEN:
        return StorageError(
            f"{what}: permission denied; grant this account roles/storage.objectUser on {bucket} (Google said: {said})"
        )
    return StorageError(f"{what}: it was refused (Google said: {said})")


def _unknown_caller(what: str, said: str) -> StorageError:
    return StorageError(
        f"{what}: no valid Google credentials; run `gcloud auth application-default login`, or bind the pod's "
        f"service account to one that may use the bucket (Google said: {said})"
    )


def _status(error: object) -> int | None:
    """Of the answer, where there was one."""
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    return int(status) if isinstance(status, int) else None
