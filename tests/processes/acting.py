"""Verbs in processes of their own, for the tests that hold them, let them go and kill them."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from tests.processes.fork_request import Request
from tests.releases import MODEL, World

PROJECT = Path(__file__).parents[2]
KILLED = -9
# For how long a process that is not held may take.
PATIENCE = 100.0

# Its standard input stays open for as long as this process lives.
_started: list[subprocess.Popen[str]] = []

# A verb and its options, without the model.
Words = tuple[str, ...]


@dataclass
class Ended:
    """How a process ended and what it told: its exit code, its effects in their order, its last line, its log."""

    code: int
    log: str
    effects: list[str] = field(default_factory=list)
    line: dict[str, Any] = field(default_factory=dict)
    loaded: list[str] | None = None

    @property
    def reason(self) -> str:
        return str(self.line.get("reason", ""))


class Actor:
    """A verb as the command line runs it, in a process that is forked where everything is imported already.

    Args:
        world: where.
        words: the verb and its options, without the model.
        stop: where it is to stop, see `tests.processes.stopping`.
        largest_file: the most bytes that a file it writes may have, as at the end of a disk; its log is cut there too.
        environment: what differs from the world's own.
    """

    def __init__(
        self,
        world: World,
        *words: str,
        stop: str = "",
        largest_file: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        request = Request(arguments(words), environment_of(world, stop, environment), largest_file)
        stdin, self._stdin = os.pipe()
        output, stdout = os.pipe()
        self._output = os.fdopen(output)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `__exit__`, like all the others
        self._output_lines: list[str] = []
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(fork_server())
        request.send(self._connection, [stdin, stdout, self._log.fileno()])
        os.close(stdin)
        os.close(stdout)
        self._answers = self._connection.makefile("r")
        self._number = int(self._answers.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        os.close(self._stdin)
        for each in (self._output, self._log, self._answers, self._connection):
            each.close()

    def wait_until(self, word: str) -> None:
        """`ready`: everything is imported, nothing is read yet. `held`: it waits at the effect it was to stop at."""
        while not self._output_lines or self._output_lines[-1] != word:
            line = self._output.readline()
            assert line, f"ended before it was {word}: {self._output_lines} {self._written()}"
            self._output_lines.append(line.strip())

    def remove_leaving(self) -> None:
        os.write(self._stdin, b"\n")

    def kill(self) -> None:
        """Also one that has ended: the number is its own until the connection is closed."""
        os.kill(self._number, signal.SIGKILL)

    def kill_after(self, seconds: float) -> None:
        """Unless it has ended by then."""
        says_its_code, _, _ = select.select([self._connection], [], [], seconds)
        if not says_its_code:
            self.kill()

    def end(self) -> Ended:
        """Wait for it; kills the process after PATIENCE seconds."""
        patience = Timer(PATIENCE, self.kill)
        patience.start()
        try:
            self._output_lines += [line.strip() for line in self._output]
            code = int(self._answers.readline())
        finally:
            patience.cancel()
        return ended(code, self._output_lines, self._written())

    def _written(self) -> str:
        self._log.seek(0)
        return self._log.read()


def ended(code: int, lines: Sequence[str], log: str) -> Ended:
    """From the lines that `tests.processes.actor` tells."""
    found = Ended(code, log)
    for line in lines:
        kind, _, words = line.partition(" ")
        if kind == "effect":
            found.effects.append(words.partition(" ")[2])
        elif kind == "loaded":
            found.loaded = words.split()
        elif line.startswith("{"):
            found.line = json.loads(line)
    return found


def act(world: World, *words: str, stop: str = "", environment: Mapping[str, str] | None = None) -> Ended:
    """From beginning to end."""
    with Actor(world, *words, stop=stop, environment=environment) as actor:
        return actor.end()


def rollback_to(target: str | int) -> Words:
    """A roll-back that is asked for now."""
    key = f"rollback-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    return ("rollback", "--to", str(target), "--reason", "it is bad", "--run", key)


def arguments(words: Words) -> Words:
    """The verb's arguments, with `--model` added."""
    return (words[0], "--model", MODEL, *words[1:])


def environment_of(world: World, stop: str = "", environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which a verb of this world runs."""
    settings = world.context("look-0").settings.model_dump(exclude={"params"}, exclude_none=True)
    variables = {f"UNDERSTUDY_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, **variables, "PYTHONPATH": str(PROJECT), "ACTOR_STOP": stop, **(environment or {})}


@cache
def fork_server() -> str:
    """Start one fork server for this pytest process and return its socket's path; it ends when this process does."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.fork_server"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _started.append(server)
    assert server.stdout is not None
    return server.stdout.readline().strip()
