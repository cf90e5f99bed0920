"""One service of docker-compose.yaml as processes of this machine, without a container around them."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# A second of Compose's waiting, on a machine that runs other tests at the same time.
PATIENCE = 4.0


class ServiceError(Exception):
    """A service did not come up, or did not end as it should; the message has the end of its log."""


@dataclass
class Container:
    """A service.

    Attributes:
        name: of the service.
        command: its words.
        environment: all of it.
        folder: where it runs.
        log: the file of its output.
        health: the command of its health check; empty if it has none.
        grace: the seconds that it may take to end.
        stop_signal: what asks it to end.
        user: who runs it; None for who runs the tests.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    health: Sequence[str] = ()
    grace: float = 10
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.user,
            )

    def run(self, *, seconds: float = 180) -> str:
        """Run it from beginning to end, as a service that has work to do; its output.

        Raises:
            ServiceError: it ended with another exit code than 0.
        """
        self.start()
        code = self._wait(seconds)
        if code != 0:
            raise self._error(f"ended with {code}")
        return self.output()

    def wait_until_healthy(self, *, seconds: float = 120) -> None:
        """Wait for the first health check that succeeds.

        Raises:
            ServiceError: the service ended, or no check has succeeded after so many seconds.
        """
        deadline = time.monotonic() + seconds * PATIENCE
        while True:
            if self.code is not None:
                raise self._error(f"ended with {self.code}")
            checked = self.check()
            if checked.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise self._error(f"is not healthy: {' '.join(self.health)}\n{checked.stdout}")
            time.sleep(0.3)

    def check(self) -> "subprocess.CompletedProcess[str]":
        """Run the health check once."""
        return subprocess.run(
            self.health,
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60 * PATIENCE,
        )

    @property
    def code(self) -> int | None:
        """How the service ended; None while it runs."""
        return self._process.poll() if self._process else None

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Ask it to end, as `docker stop` does, and wait.

        Raises:
            ServiceError: it has ended by itself before, or not in its time.
        """
        if self._process is None:
            return
        ended = self.code
        self._signal(self.stop_signal)
        try:
            self._process.wait(self.grace * PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise self._error(f"has not ended {self.grace:g} s after {self.stop_signal.name}") from error
        finally:
            self.kill()
        if ended is not None:
            raise self._error(f"ended by itself with {ended}")

    def kill(self) -> None:
        """End everything that is left of it; may be repeated."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        # To the whole group, as `dumb-init` does in our images.
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _wait(self, seconds: float) -> int:
        assert self._process is not None
        try:
            return self._process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise self._error(f"has not ended after {seconds:g} s") from error

    def _error(self, problem: str) -> ServiceError:
        return ServiceError(f"{self.name} {problem}\n--- the end of {self.log}\n{self.output()[-3000:]}")
