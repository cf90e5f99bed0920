"""A container: a local process in a process group of its own."""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.kubernetes.container_log import ContainerLog

_POLL_SECONDS = 0.02
_LARGEST_MESSAGE = 4096
_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


class Container:
    """Runs until its process ends, or is stopped.

    Args:
        message_file: where the process may write its termination message.

    Raises:
        OSError: the program does not exist, or cannot be run.
    """

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], directory: str, message_file: Path, log: ContainerLog
    ) -> None:
        self.log = log
        self._message_file = message_file
        self._message_file.touch()
        self._kill_at: float | None = None
        self._clean = False
        self._process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_output)
        self._reader.start()

    def poll(self) -> int | None:
        """The exit code, 128 and the signal for one that was ended by a signal; None while it runs."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._signal(signal.SIGKILL)
        code = self._process.poll()
        if code is None:
            return None
        self._clean_up()
        return code if code >= 0 else 128 - code

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM to the process, SIGKILL after the grace period. A later call may make the period shorter."""
        kill_at = time.monotonic() + grace_seconds
        if self._kill_at is None and grace_seconds > 0:
            self._process.terminate()
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)

    def kill(self) -> None:
        """SIGKILL, and wait until it has ended."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._clean_up()

    def message(self, policy: str, exit_code: int) -> str:
        """The termination message."""
        with suppress(OSError):
            if written := self._message_file.read_bytes()[-_LARGEST_MESSAGE:]:
                return written.decode(errors="replace")
        if policy == "FallbackToLogsOnError" and exit_code != 0:
            return self.log.tail(lines=_FALLBACK_LINES, limit=_FALLBACK_BYTES)
        return ""

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _clean_up(self) -> None:
        """End what the process has left, as the end of a container does, and read the rest of the output."""
        if not self._clean:
            self._clean = True
            self._signal(signal.SIGKILL)
            self._reader.join()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        with self._process.stdout as output:
            while content := self._read(output.fileno()):
                *whole, rest = (rest + content).split(b"\n")
                for line in whole:
                    self.log.append(line + b"\n")
        if rest:
            self.log.append(rest)
        self.log.end()

    def _read(self, descriptor: int) -> bytes:
        """The next output; empty at the end, also if a process of another group keeps the pipe open."""
        while True:
            has_ended = self._process.returncode is not None
            if select.select([descriptor], [], [], _POLL_SECONDS)[0]:
                return os.read(descriptor, 65536)
            if has_ended:
                return b""
