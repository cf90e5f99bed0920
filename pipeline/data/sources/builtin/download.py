"""Download a published file. What arrives under its name is whole, and is what was published."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from pipeline.data.sources.builtin.data_set import PublishedFile

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

_MEGABYTE = 1 << 20
_LOG_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """Time limits in seconds.

    Attributes:
        silence: for how long a server may send nothing.
        whole: for how long the whole download may take, with all attempts.
        attempts: how many times it is tried, if the connection breaks or the server has an error.
        pause: between the first two attempts; doubled before each later one.
    """

    silence: float = 30.0
    whole: float = 3600.0
    attempts: int = 4
    pause: float = 1.0


class DownloadError(Exception):
    """The file was not downloaded; the text says why."""


class _TransientError(DownloadError):
    """Another attempt may succeed."""


def download(file: PublishedFile, target: Path, limits: DownloadLimits) -> None:
    """Store the file as `target`. It is written aside first and renamed, so that others never see a part of it.

    Raises:
        DownloadError: the network or the server did not give it, or gave something else; nothing is stored.
        OSError: it cannot be written.
    """
    deadline = time.monotonic() + limits.whole
    target.parent.mkdir(parents=True, exist_ok=True)
    log.info("downloading %s (%.1f MB) to %s", file.url, file.size / _MEGABYTE, target)
    for attempt in range(1, limits.attempts + 1):
        try:
            _attempt(file, target, limits, deadline)
        except _TransientError as error:
            if attempt == limits.attempts or time.monotonic() >= deadline:
                raise
            log.warning("%s: %s; trying again", file.url, error)
            time.sleep(limits.pause * 2 ** (attempt - 1))
        else:
            log.info("downloaded %s", target)
            return


def _attempt(file: PublishedFile, target: Path, limits: DownloadLimits, deadline: float) -> None:
    with NamedTemporaryFile(dir=target.parent, prefix=f".{file.name}.", delete=False) as aside:
        try:
            _receive(file, aside, limits, deadline)
            aside.flush()
            # As other files of the person, and not as a temporary one.
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(target)
        finally:
            with suppress(FileNotFoundError):
                Path(aside.name).unlink()


def _receive(file: PublishedFile, aside: IO[bytes], limits: DownloadLimits, deadline: float) -> None:
    """Write the file as the server sends it, and compare it with what was published."""
    digest = hashlib.sha256()
    size = 0
    for chunk in _chunks(file, limits):
        size += len(chunk)
        if size > file.size:
            raise DownloadError(f"the server sent more than the published {file.size:,} bytes")
        if time.monotonic() >= deadline:
            raise DownloadError(f"it took longer than {limits.whole:g} s; {size:,} of {file.size:,} bytes arrived")
        digest.update(chunk)
        aside.write(chunk)
    if size < file.size:
        raise _TransientError(f"the server sent {size:,} of {file.size:,} bytes")
    if digest.hexdigest() != file.sha256:
        raise DownloadError(f"its SHA-256 is {digest.hexdigest()}, and {file.sha256} was published")


def _chunks(file: PublishedFile, limits: DownloadLimits) -> Iterator[bytes]:
    """The content from the server, with a line in the log every few seconds."""
    import httpx  # noqa: PLC0415 - only for a download

    received, log_at = 0, time.monotonic() + _LOG_SECONDS
    try:
        # As it is stored: a server must neither compress nor decompress it.
        headers = {"Accept-Encoding": "identity"}
        with httpx.stream("GET", file.url, headers=headers, timeout=limits.silence, follow_redirects=True) as response:
            _check_status(response)
            for chunk in response.iter_raw(_MEGABYTE):
                received += len(chunk)
                yield chunk
                if time.monotonic() >= log_at:
                    log.info("%s: %.1f of %.1f MB", file.url, received / _MEGABYTE, file.size / _MEGABYTE)
                    log_at = time.monotonic() + _LOG_SECONDS
    except httpx.TimeoutException as error:
        raise _TransientError(f"no answer within {limits.silence:g} s") from error
    except httpx.TransportError as error:
        raise _TransientError(str(error) or type(error).__name__) from error
    except httpx.HTTPError as error:
        raise DownloadError(str(error)) from error


def _check_status(response: "httpx.Response") -> None:
    if response.is_success:
        return
    kind = _TransientError if response.is_server_error or response.status_code == 429 else DownloadError
    raise kind(f"the server answered {response.status_code} {response.reason_phrase}")
