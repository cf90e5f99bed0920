"""Servers of the checks' own, started with the command that a person gave."""

import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.server_flags import ConfigSource, replica_flags
from tests.conformance.expectations import SEVERAL_POLLS, Expectations
from tests.conformance.facts import NotRunError
from tests.conformance.server import CONFIG, MONITORING, Folder, ServerUnderTest, config, refusal
from tests.ports import free_port

_START_SECONDS = 60.0
_END_SECONDS = 30.0
_PROJECT = Path(__file__).parents[2]


def standard_flags(there: str, *, port: int, rest_port: int) -> list[str]:
    """The flags of a server under test: those of a replica, with one repeated attempt to load, and metrics."""
    source = ConfigSource(uri=f"{there}/{CONFIG}")
    return [
        *replica_flags(source, port=port, rest_port=rest_port),
        f"--monitoring_config_file={there}/{MONITORING}",
    ]


class OwnServer(ServerUnderTest):
    """A server that a check started; it need not answer yet."""

    def __init__(self, address: str, rest: str, folder: Folder, *, process: Any, log: Path) -> None:
        super().__init__(address, rest, folder)
        self.process: subprocess.Popen[bytes] = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def answers(self) -> bool:
        """Whether the gRPC port is open and somebody answers; a container engine accepts connections before that."""
        answer = refusal(lambda: self.status("nobody-knows-it"))
        return not answer.startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED"))

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotRunError(f"the server did not start; the end of its log: {self.log[-500:]}")
            time.sleep(0.05)

    def exit_code(self) -> int:
        """Wait for the end; a signal S counts as 128 + S, as in a shell."""
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return -1
        return 128 - code if code < 0 else code

    def state_of_start(self, seconds: float = SEVERAL_POLLS) -> str:
        """`answers`, `ended with ...`, or `waits` if neither happens so many seconds after its first line of log.

        A container may need longer than a program until it has begun at all.
        """
        first_line = time.monotonic() + _START_SECONDS
        while not self.log and self.process.poll() is None and time.monotonic() < first_line:
            time.sleep(0.1)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None and not self.answers():
            time.sleep(0.1)
        if self.process.poll() is not None:
            return f"ended with {self.exit_code()}"
        return "answers" if self.answers() else "waits"


class Launcher(Expectations):
    """Starts servers.

    Args:
        command: a command line; `{port}` and `{rest_port}` in it are replaced, and flags are appended.
        folder: the files of these servers.
    """

    def __init__(self, command: str, folder: Folder) -> None:
        super().__init__()
        self._command, self.folder = command, folder
        self._logs = 0

    @contextmanager
    def started(self, *flags: str) -> Iterator[OwnServer]:
        """A server with these flags and with ports, which may not answer yet; it ends with the block."""
        with self._run(*flags, ports=True) as server:
            yield server

    @contextmanager
    def standard(self, *flags: str, models: Sequence[Any] = ()) -> Iterator[OwnServer]:
        """A server with the standard flags and these models that answers; of a flag given twice the last one counts."""
        self.folder.write(CONFIG, str(config(*models)))
        with self._run(*flags, ports=True, standard=True) as server:
            server.wait_until_it_answers()
            yield server

    def outcome(self, *flags: str, ports: bool = True) -> tuple[int, str]:
        """Exit code and output of a process that is expected to end; -1 if it does not."""
        with self._run(*flags, ports=ports) as server:
            return server.exit_code(), server.log

    @contextmanager
    def _run(self, *flags: str, ports: bool, standard: bool = False) -> Iterator[OwnServer]:
        port, rest_port = free_port(), free_port()
        first = [f"--port={port}", f"--rest_api_port={rest_port}"] if ports else []
        if standard:
            first = standard_flags(self.folder.there, port=port, rest_port=rest_port)
        command = self._command.replace("{port}", str(port)).replace("{rest_port}", str(rest_port))
        self._logs += 1
        log = self.folder.here / f"server-{self._logs}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*shlex.split(command), *first, *flags], cwd=_PROJECT, stdout=output, stderr=subprocess.STDOUT
            )
        server = OwnServer(f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}", self.folder, process=process, log=log)
        try:
            yield server
        finally:
            self.comparisons += server.comparisons
            server.close()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
