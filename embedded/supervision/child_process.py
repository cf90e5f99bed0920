"""One process of the Procfile: started, and started again each time it has ended, after a pause."""

import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded import processes
from embedded.environment import PART
from embedded.procfile import Entry
from embedded.run_state import ProcessState
from embedded.settings import PROJECT, StackSettings

# Begins a line in a log before each start of its process.
STARTED = "--- start of"

logger = logging.getLogger("supervisor")


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a start: `first` seconds, twice as long after each failure in a row, up to `longest`.

    An end after `stable` seconds is the first failure of a new row.
    """

    first: float = 1.0
    longest: float = 30.0
    stable: float = 60.0

    def pause(self, failures: int) -> float:
        return float(min(self.first * 2 ** min(failures - 1, 30), self.longest))


class Child:
    """What `state` says is always true; `step` must be called often, and never waits."""

    def __init__(self, entry: Entry, settings: StackSettings, environment: dict[str, str], backoff: Backoff) -> None:
        self._entry = entry
        self._var = settings.var
        self._log = settings.logs / f"{entry.name}.log"
        self._environment = environment | entry.extra | {PART: entry.name}
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._start_at = 0.0
        self.state = ProcessState(name=entry.name)

    def step(self) -> bool:
        """Notice that the process has ended, or start it when its time has come; whether `state` has changed."""
        if self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._ended(describe(code))
            return code is not None
        if time.monotonic() < self._start_at:
            return False
        self._start()
        return True

    def _start(self) -> None:
        if self.state.ends:
            # They were asked to end when the process did. What is still there would hold its port or do its work twice.
            processes.signal_all(processes.of_part(self._var, self._entry.name), signal.SIGKILL)
        self._began = time.monotonic()
        try:
            self._process = self._popen()
        except OSError as error:
            self._ended(f"it could not be started ({error})")
            return
        started = {"pid": self._process.pid, "since": datetime.now(UTC), "next_start": None}
        self.state = self.state.model_copy(update=started)
        logger.info("%s is started as process %d", self._entry.name, self._process.pid)

    def _popen(self) -> "subprocess.Popen[bytes]":
        log = _open_log(self._log)
        try:
            with suppress(OSError):  # a full disk
                os.write(log, f"{STARTED} {self._entry.name} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
            return subprocess.Popen(
                ["/bin/sh", "-c", self._entry.command],
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _ended(self, how: str) -> None:
        lived = time.monotonic() - self._began
        failures = 1 if lived >= self._backoff.stable else self.state.failures + 1
        pause = self._backoff.pause(failures)
        now = datetime.now(UTC)
        self._process = None
        self._start_at = time.monotonic() + pause
        self.state = ProcessState(
            name=self._entry.name,
            next_start=now + timedelta(seconds=pause),
            ends=self.state.ends + 1,
            failures=failures,
            last_end=how,
            ended=now,
        )
        logger.warning(
            "%s has ended after %.0f s: %s; it is started again in %.0f s", self._entry.name, lived, how, pause
        )
        processes.signal_all(processes.of_part(self._var, self._entry.name), signal.SIGTERM)


def describe(code: int) -> str:
    """How a process ended, for a person."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"exit code {code} ({signal.Signals(-code).name})"
    return f"exit code {code}"


def _open_log(path: Path) -> int:
    """The log to append to; without it, for example on a full disk, what the process says is lost and it runs."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        logger.warning("%s cannot be opened (%s): this output is not kept", path, error)
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
