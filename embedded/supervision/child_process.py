"""One supervised process: started, and restarted after a pause each time it has ended."""

import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded.environment import PROCESS_VARIABLE
from embedded.settings import PROJECT, StackSettings
from embedded.supervision import processes
from embedded.supervision.process_states import ProcessState
from embedded.supervision.procfile import Entry

# How the line begins that is written to the log before each start.
START_LINE = "--- start of"

logger = logging.getLogger("supervisor")


@dataclass(frozen=True)
class Backoff:
    """The pause before a restart, in seconds: `first`, then twice as long after each failure, at most `longest`.

    A process that has run for `stable` seconds before it ended begins again with `first`.
    """

    first: float = 1.0
    longest: float = 30.0
    stable: float = 60.0

    def pause(self, failures: int) -> float:
        """The seconds to wait after so many failures in a row, at least one."""
        return float(min(self.first * 2 ** min(failures - 1, 30), self.longest))


class ChildProcess:
    """A command of the Procfile that must keep running.

    The caller calls `step` several times a second; it never blocks. After each call `state` is up to date.
    """

    def __init__(self, entry: Entry, settings: StackSettings, environment: dict[str, str], backoff: Backoff) -> None:
        self._entry = entry
        self._var = settings.var
        self._log = settings.logs / f"{entry.name}.log"
        self._environment = environment | entry.extra | {PROCESS_VARIABLE: entry.name}
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._start_at = 0.0
        self.state = ProcessState(name=entry.name)

    def step(self) -> bool:
        """Check whether the process has ended, or start it if its pause is over; whether `state` has changed."""
        if self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._ended(describe_exit(code))
            return code is not None
        if time.monotonic() < self._start_at:
            return False
        self._start()
        return True

    def _start(self) -> None:
        if self.state.ends:
            # Its own children got SIGTERM when it ended. One that still runs would keep the port or do the work twice.
            processes.signal_all(processes.started_by(self._var, self._entry.name), signal.SIGKILL)
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
            with suppress(OSError):  # the disk may be full
                os.write(log, f"{START_LINE} {self._entry.name} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
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
        ran_for = time.monotonic() - self._began
        failures = 1 if ran_for >= self._backoff.stable else self.state.failures + 1
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
            "%s has ended after %.0f s: %s; it is started again in %.0f s", self._entry.name, ran_for, how, pause
        )
        processes.signal_all(processes.started_by(self._var, self._entry.name), signal.SIGTERM)


def describe_exit(code: int) -> str:
    """The exit code as text; if a signal ended the process, with the name of the signal."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"exit code {code} ({signal.Signals(-code).name})"
    return f"exit code {code}"


def _open_log(path: Path) -> int:
    """Open the log for appending. If that fails, for example on a full disk, the output goes to /dev/null."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        logger.warning("%s cannot be opened (%s): this output is not kept", path, error)
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
