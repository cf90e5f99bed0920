"""Verbs in processes of their own, for the tests that hold them, let them go and kill them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.releases import MODEL, World

PROJECT = Path(__file__).parents[2]
KILLED = -9

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
    """A verb as the command line runs it.

    Args:
        world: where.
        words: the verb and its options, without the model.
        stop: where it is to stop, see `tests.processes.stopping`.
        through: a command that runs another one, to run it under.
        environment: what differs from the world's own.
    """

    def __init__(
        self,
        world: World,
        *words: str,
        stop: str = "",
        through: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [*through, sys.executable, "-m", "tests.processes.actor", words[0], "--model", MODEL, *words[1:]]
        self._process = subprocess.Popen(
            command,
            env=os.environ | _environment(world) | {"ACTOR_STOP": stop} | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._told: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_until(self, word: str) -> None:
        """`ready`: everything is imported, nothing is read yet. `held`: it waits at the effect it was to stop at."""
        assert self._process.stdout is not None
        while not self._told or self._told[-1] != word:
            line = self._process.stdout.readline()
            assert line, f"ended before it was {word}: {self._told} {self._process.communicate()[1]}"
            self._told.append(line.strip())

    def let_go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill_after(self, seconds: float) -> None:
        """Unless it has ended by then."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def end(self) -> Ended:
        """Wait for it."""
        rest, log = self._process.communicate(timeout=100)
        ended = Ended(self._process.returncode, log)
        for line in [*self._told, *rest.splitlines()]:
            kind, _, words = line.partition(" ")
            if kind == "effect":
                ended.effects.append(words.partition(" ")[2])
            elif kind == "loaded":
                ended.loaded = words.split()
            elif line.startswith("{"):
                ended.line = json.loads(line)
        return ended


def act(world: World, *words: str, stop: str = "", environment: Mapping[str, str] | None = None) -> Ended:
    """From beginning to end."""
    with Actor(world, *words, stop=stop, environment=environment) as actor:
        return actor.end()


def rollback_to(target: str | int) -> Words:
    """A roll-back that is asked for now."""
    key = f"rollback-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    return ("rollback", "--to", str(target), "--reason", "it is bad", "--run", key)


def _environment(world: World) -> dict[str, str]:
    settings = world.context("look-0").settings.model_dump(exclude={"params"}, exclude_none=True)
    told = {f"UNDERSTUDY_{name.upper()}": str(value) for name, value in settings.items()}
    return told | {"PYTHONPATH": str(PROJECT)}
