"""What Google's libraries raise, as the StatusErrors of TensorFlow's own file system for buckets.

Upstream's codes: tsl/platform/cloud/curl_http_request.cc.
"""

from contextlib import AbstractContextManager

from grpc import StatusCode

from serving.gcs.errors import Failure, Kind, translated
from serving.model_server.storage.local_disk import disk_error
from serving.status import DataLossError, StatusError

# Every other answer is UNAVAILABLE.
CODE_BY_HTTP_STATUS = (
    dict.fromkeys((400, 406, 411, 414), StatusCode.INVALID_ARGUMENT)
    | dict.fromkeys((401, 403, 407), StatusCode.PERMISSION_DENIED)
    | dict.fromkeys((404, 410), StatusCode.NOT_FOUND)
    | dict.fromkeys((302, 303, 304, 307, 412, 413), StatusCode.FAILED_PRECONDITION)
)
BODY_LIMIT = 500


def status_errors(uri: str) -> AbstractContextManager[None]:
    """Let nothing of the libraries out of this block; `uri` is what it reads."""
    return translated(lambda failure: _error(failure, uri))


def _error(failure: Failure, uri: str) -> StatusError:
    cause, response = failure.cause, failure.response
    if failure.kind is Kind.CORRUPT:
        return DataLossError(f"{uri}: {cause}")
    if response is not None:
        number = response.status_code
        said = f"HTTP response code {number} with body '{response.text[:BODY_LIMIT]}'"
        code = CODE_BY_HTTP_STATUS.get(number, StatusCode.UNAVAILABLE)
        return StatusError(f"Error executing an HTTP request: {said} when reading {uri}", code)
    if failure.kind is Kind.DISK:
        assert isinstance(cause, OSError)
        return disk_error(uri, cause)
    code = StatusCode.PERMISSION_DENIED if failure.kind is Kind.CREDENTIALS else StatusCode.UNAVAILABLE
    return StatusError(f"Error executing an HTTP request: {cause} when reading {uri}", code)
