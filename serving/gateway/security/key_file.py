"""A file of keys that may change while the gateway runs."""

import logging
from collections.abc import Callable
from pathlib import Path

from serving.gateway.security.keys import LARGEST_FILE, Key, KeysError, parse_keys

# A key that is taken out of the file is refused this many seconds later at the latest.
LOOK_SECONDS = 1.0

logger = logging.getLogger(__name__)


class KeyFile:
    """The keys as the file has them now.

    The content is compared, not the time of the last change: a Secret of Kubernetes is replaced by way of links, and
    two changes may have the same time. The file is read when keys are asked for, at most once in LOOK_SECONDS.

    A file that is empty may be one whose last key was revoked, or one that a program is writing at this moment. Nobody
    can tell which, so no key is valid; and it is read again for each request, so that the second case ends as soon as
    the file is written.

    Args:
        path: of the file.
        clock: seconds that never go back.

    Raises:
        KeysError: it cannot be read, or a line of it is wrong.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._content: bytes | None = None
        try:
            self._content = _read(path)
            self._keys = _parsed(self._content)
        except KeysError as error:
            raise KeysError(f"The file of API keys, {path}, cannot be used: {error}.") from None
        self._problem = ""
        self._warn_without_keys()

    def keys(self) -> tuple[Key, ...]:
        """All keys, expired ones too. A file that cannot be used is reported once, and the last good keys stay."""
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS or not self._content:
            self._looked = now
            self._look()
        return self._keys

    def _look(self) -> None:
        try:
            content = _read(self._path)
            if content != self._content:
                self._keys = _parsed(content)
                self._content = content
                logger.info("API keys were read again: %d keys are valid.", len(self._keys))
                self._warn_without_keys()
        except KeysError as error:
            self._report(str(error))
        else:
            self._problem = ""

    def _warn_without_keys(self) -> None:
        if not self._keys:
            logger.warning(
                "The file of API keys, %s, has no keys: every request that needs one is refused.", self._path
            )

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            logger.error(
                "The file of API keys, %s, cannot be used: %s. The last good keys stay valid (%d), also those that "
                "were to be revoked. Repair the file; no restart is needed.",
                self._path,
                problem,
                len(self._keys),
            )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise KeysError(error.strerror or type(error).__name__) from error
    if len(content) > LARGEST_FILE:
        raise KeysError(f"it has more than {LARGEST_FILE} bytes")
    return content


def _parsed(content: bytes) -> tuple[Key, ...]:
    try:
        return parse_keys(content.decode())
    except UnicodeDecodeError:
        raise KeysError("it is not UTF-8") from None
