"""What kind of failure each exception of Google's libraries is."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from google.api_core.exceptions import Forbidden, RetryError, ServiceUnavailable
from google.auth.exceptions import DefaultCredentialsError, TransportError

from serving.gcs.errors import Failure, Kind, translated


class TranslatedError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


def made(error: Any, *arguments: object) -> Exception:
    """Google's classes have no types."""
    return cast(Exception, error(*arguments))


def answered(status: int) -> requests.RequestException:
    return requests.RequestException(response=SimpleNamespace(status_code=status, text="said"))


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (made(Forbidden, "no"), Kind.REFUSED, 403),
        (answered(404), Kind.REFUSED, 404),
        (made(ServiceUnavailable, "later"), Kind.UNANSWERED, 503),
        (made(RetryError, "gave up", made(ServiceUnavailable, "later")), Kind.UNANSWERED, 503),
        (made(RetryError, "gave up", answered(408)), Kind.UNANSWERED, 408),
        (requests.ConnectionError("no route"), Kind.UNANSWERED, None),
        (ConnectionResetError("reset"), Kind.UNANSWERED, None),
        (TimeoutError("too slow"), Kind.UNANSWERED, None),
        (made(TransportError, "no metadata server"), Kind.UNANSWERED, None),
        (made(DefaultCredentialsError, "none"), Kind.CREDENTIALS, None),
        (PermissionError(13, "denied"), Kind.DISK, None),
    ],
)
def test_every_exception_is_of_one_kind(error: Exception, kind: Kind, status: int | None) -> None:
    with pytest.raises(TranslatedError) as raised, translated(TranslatedError):
        raise error

    assert (kind, status) == (raised.value.failure.kind, raised.value.failure.status)
    assert raised.value.__cause__ is error


def test_content_without_its_checksum_is_corrupt() -> None:
    from google.cloud.storage.exceptions import DataCorruption

    with pytest.raises(TranslatedError) as raised, translated(TranslatedError):
        raise DataCorruption("response", "content")

    assert Kind.CORRUPT is raised.value.failure.kind


def test_an_error_of_nobody_s_passes() -> None:
    with pytest.raises(ZeroDivisionError), translated(TranslatedError):
        raise ZeroDivisionError
