"""What Google's libraries raise, as a few kinds of failures.

The model server and the pipeline have errors of their own for each, and translate at one border each.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import requests
import urllib3
from google.api_core.exceptions import GoogleAPIError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError

# Answers after which the library has tried again and again; whether a write happened is not known.
TRANSIENT = (408, 429, 500, 502, 503, 504)


class Kind(Enum):
    """What is wrong: the first that fits."""

    CORRUPT = auto()  # what arrived does not have its checksum
    REFUSED = auto()  # answered with a status that another try would not change
    CREDENTIALS = auto()  # there are none, or they are not valid
    DISK = auto()  # the local disk a copy is written to or read from
    UNANSWERED = auto()  # no answer, or only transient ones


@dataclass(frozen=True)
class Failure:
    """One failed call: what the last try raised, and the HTTP status of the last answer, where there was one."""

    kind: Kind
    cause: Exception
    status: int | None = None

    @property
    def response(self) -> Any:
        """The last answer, with `status_code` and `text`; None where there was none."""
        return getattr(self.cause, "response", None)


@contextmanager
def translated(translate: Callable[[Failure], Exception]) -> Iterator[None]:
    """Let nothing of the libraries, and no OSError, out of this block: raise what `translate` makes of it."""
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    try:
        yield
    except DataCorruption as error:
        raise translate(Failure(Kind.CORRUPT, error)) from error
    # OSError covers `requests`, and the local disk.
    except (GoogleAPIError, GoogleAuthError, InvalidResponse, urllib3.exceptions.HTTPError, OSError) as error:
        raise translate(_failure(error)) from error


def _failure(error: Exception) -> Failure:
    cause = getattr(error, "cause", error) if isinstance(error, RetryError) else error
    status = _status(cause)
    return Failure(_kind(cause, status), cause, status)


def _kind(cause: Exception, status: int | None) -> Kind:
    if status is not None and status not in TRANSIENT:
        return Kind.REFUSED
    if isinstance(cause, GoogleAuthError) and not isinstance(cause, TransportError):
        return Kind.CREDENTIALS
    if isinstance(cause, OSError) and not isinstance(cause, (requests.RequestException, ConnectionError, TimeoutError)):
        return Kind.DISK
    return Kind.UNANSWERED


def _status(error: object) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    return int(status) if isinstance(status, int) else None
