"""The errors of botocore, translated to those of `pipeline.errors`. Nothing else translates them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import urllib3

from pipeline.errors import MissingError, StorageError
from pipeline.storage.objects import ChangedError, UnansweredError

# Transient errors, which are retried; a write may have happened. 409: two writers at the same object.
MAY_PASS = (408, 409, 429, 500, 502, 503, 504)
# Transient too, with a status that otherwise means something else.
_MAY_PASS_CODES = ("RequestTimeout", "InternalError")
_UNKNOWN_CALLER = (
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
)
# The rights that the policy must grant, by the refused operation. Conditions and copies need the right to read. Without
# s3:ListBucket a request for a missing object is refused.
_RIGHTS = {
    "AbortMultipartUpload": ["s3:AbortMultipartUpload"],
    "CopyObject": ["s3:GetObject", "s3:PutObject"],
    "DeleteObject": ["s3:GetObject", "s3:DeleteObject"],
    "GetObject": ["s3:GetObject", "s3:ListBucket"],
    "HeadObject": ["s3:GetObject", "s3:ListBucket"],
    "ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "ListObjectsV2": ["s3:ListBucket"],
    "PutObject": ["s3:GetObject", "s3:PutObject"],
}
_SAID = 300


@contextmanager
def storage_errors(action: str, key: str, *, bucket: str, setting: str, since: float) -> Iterator[None]:
    """Translate every error of the libraries in the block.

    Args:
        action: what the block does, as a verb.
        key: the object or folder it does it to.
        bucket: the address of the bucket.
        setting: where the address comes from.
        since: when it was first tried, by `time.monotonic`.

    Raises:
        StorageError: the message says what to do. `ChangedError`, `MissingError` and `UnansweredError` are its leaves.
    """
    from botocore import exceptions as boto

    what = f"cannot {action} {key} in {bucket}"
    try:
        yield
    except boto.ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchBucket":
            raise _no_bucket(what, bucket=bucket, setting=setting) from error
        raise _answered(error.response, error.operation_name, what, bucket=bucket, since=since) from error
    except (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError) as error:
        raise _unanswered(what, _short(error), since=since) from error
    except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
        raise _unanswered(what, _short(error), since=since) from error
    except boto.BotoCoreError as error:
        # No credentials, incomplete ones, or a provider of credentials that failed.
        raise _unknown_caller(what, _short(error)) from error
    # An error of the local disk that an upload is read from.
    except OSError as error:
        raise StorageError(f"{what}: {_short(error)}") from error


def _answered(response: dict[str, Any], operation: str, what: str, *, bucket: str, since: float) -> StorageError:
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", ""))
    said = _short(f"{code or status}: {response.get('Error', {}).get('Message', '')}")
    if status in MAY_PASS or code in _MAY_PASS_CODES:
        return _unanswered(what, said, since=since)
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ChangedError(f"{what}: another process has changed it meanwhile")
    if status == HTTPStatus.NOT_FOUND:
        return MissingError(f"{what}: it does not exist")
    # Denied by another service than S3: the caller may not assume its role.
    no_role = status == HTTPStatus.FORBIDDEN and operation not in _RIGHTS
    if status == HTTPStatus.UNAUTHORIZED or code in _UNKNOWN_CALLER or no_role:
        return _unknown_caller(what, said)
    return _refused(status, operation, what, bucket=bucket, said=said)


def _no_bucket(what: str, *, bucket: str, setting: str) -> StorageError:
    name = bucket.removeprefix("s3://").partition("/")[0]
    return StorageError(f"{what}: the bucket s3://{name} does not exist; create it, or correct {setting}")


def _refused(status: int, operation: str, what: str, *, bucket: str, said: str) -> StorageError:
    if status == HTTPStatus.FORBIDDEN:
        return StorageError(
            f"{what}: permission denied; grant this caller {_rights(operation, bucket)}; docs/storage.md has the whole "
            f"policy (S3 said: {said})"
        )
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return StorageError(
            f"{what}: this store does not support what Understudy needs, for example conditional writes; "
            f"docs/storage.md lists stores that do (S3 said: {said})"
        )
    return StorageError(f"{what}: it was refused (S3 said: {said})")


def _rights(operation: str, bucket: str) -> str:
    name = bucket.removeprefix("s3://")
    return " and ".join(
        f"{right} on arn:aws:s3:::{name.partition('/')[0] if right.startswith('s3:List') else f'{name}/*'}"
        for right in _RIGHTS[operation]
    )


def _unanswered(what: str, said: str, *, since: float) -> UnansweredError:
    return UnansweredError(
        f"{what}: tried for {time.monotonic() - since:.1f} s without success; try again once the network and S3 "
        f"are well (last: {said})"
    )


def _unknown_caller(what: str, said: str) -> StorageError:
    return StorageError(
        f"{what}: no valid AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with `aws sso "
        f"login`, or give the pod's service account a role that may use the bucket (S3 said: {said})"
    )


def _short(error: object) -> str:
    return " ".join(str(error).split())[:_SAID]
