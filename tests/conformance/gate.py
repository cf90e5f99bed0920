"""Named pipes at which a model waits: a request or a load lasts exactly as long as a check wants."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conformance.facts import NotRunError

_SECONDS = 20.0


class Gate:
    """What asks the signature `gate` for `path` waits until `open`. Leaving the block opens it.

    The server must run on this machine: a named pipe connects processes of one system only.
    """

    def __init__(self, file: Path, path: str) -> None:
        self.path = path
        self._file, self._reached_file = file, file.with_name(f"{file.name}.reached")
        for each in (self._file, self._reached_file):
            os.mkfifo(each)
            # The server may run as another user.
            each.chmod(0o666)
        self._reached = os.open(self._reached_file, os.O_RDONLY | os.O_NONBLOCK)
        self._opened: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()

    def wait_until_reached(self, times: int = 1) -> None:
        """Return when so many runs of the model wait here, or have waited."""
        deadline = time.monotonic() + _SECONDS
        while times > 0:
            times -= len(self._read(times))
            if time.monotonic() > deadline:
                raise NotRunError(
                    f"no run of the model has reached the named pipe {self._file} within {_SECONDS:.0f} s; "
                    "the server must run on this machine and be allowed to write there"
                )
            time.sleep(0.01)

    def open(self) -> None:
        """Let all runs pass, those that wait and those that come."""
        if self._opened is None:
            self._opened = os.open(self._file, os.O_RDONLY | os.O_NONBLOCK)

    def _read(self, size: int) -> bytes:
        try:
            return os.read(self._reached, size)
        except BlockingIOError:
            return b""
