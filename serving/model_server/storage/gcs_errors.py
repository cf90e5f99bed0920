"""What the Google libraries raise, as the StatusErrors of TensorFlow's own file system for buckets."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from google.api_core.exceptions import GoogleAPIError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError
from grpc import StatusCode

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


@contextmanager
def status_errors(uri: str) -> Iterator[None]:
    """Let nothing of the libraries out of this block; `uri` is what it reads."""
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    try:
        yield
    except DataCorruption as error:
        raise DataLossError(f"{uri}: {error}") from error
    # OSError covers `requests`, and the local disk a copy is written to.
    except (GoogleAPIError, GoogleAuthError, InvalidResponse, urllib3.exceptions.HTTPError, OSError) as error:
        raise translated(error, uri) from error


def translated(error: Exception, uri: str) -> StatusError:
    cause = error.cause if isinstance(error, RetryError) else error
    response = getattr(cause, "response", None)
    if response is not None:
        number = response.status_code
        said = f"HTTP response code {number} with body '{response.text[:BODY_LIMIT]}'"
        code = CODE_BY_HTTP_STATUS.get(number, StatusCode.UNAVAILABLE)
        return StatusError(f"Error executing an HTTP request: {said} when reading {uri}", code)
    if isinstance(cause, OSError) and not isinstance(cause, (requests.RequestException, ConnectionError)):
        return disk_error(uri, cause)
    refused = isinstance(cause, GoogleAuthError) and not isinstance(cause, TransportError)
    code = StatusCode.PERMISSION_DENIED if refused else StatusCode.UNAVAILABLE
    return StatusError(f"Error executing an HTTP request: {cause} when reading {uri}", code)
