"""Where a verb begins: a bucket as the verbs before it have left it, made once and copied for every case."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import FailedError
from tests.processes.acting import KILLED, Words, act, rollback_to
from tests.releases import World, eventually

# No test fails on a clock.
PATIENCE = 60.0
# Worlds that one test has at once.
AT_ONCE = 2
RUN, OTHER_RUN = "retrain-3", "retrain-4"


@dataclass(frozen=True)
class Start:
    """A verb, and the world it begins in.

    Args:
        verb: makes its words; those of a roll-back say when it was asked for.
        prepare: what came before, in a world in which v1 and v2 were released and v2 serves.
        others: makes the words of what others may do next where nobody repeats the verb.
    """

    name: str
    verb: Callable[[], Words]
    prepare: Callable[[World], None]
    others: Callable[[], list[Words]]

    def __str__(self) -> str:
        return self.name


def of_the_run(verb: str) -> Callable[[], Words]:
    return lambda: (verb, "--run", RUN)


def going_back() -> list[Words]:
    return [rollback_to(1)]


def another_run() -> list[Words]:
    return [("publish", "--run", OTHER_RUN), ("canary", "--run", OTHER_RUN)]


def approved(world: World) -> None:
    world.approve(RUN)
    world.approve(OTHER_RUN)


def published(world: World) -> None:
    approved(world)
    world.run("publish", RUN)


def proven(world: World) -> None:
    published(world)
    world.run("canary", RUN)


def refused(world: World) -> None:
    """The canary has found the candidate wrong."""
    world.publish(RUN, shift=1)
    with pytest.raises(FailedError):
        world.run("canary", RUN)
    world.approve(OTHER_RUN)


def half_promoted(world: World) -> None:
    """v3 serves; its promotion died before it said that every replica answers from it."""
    proven(world)
    assert KILLED == act(world, "promote", "--run", RUN, stop="kill-before:3").code


def three_released(world: World) -> None:
    """v3 serves, v2 is in memory beside it, and v1 is not."""
    world.release(RUN)
    world.approve(OTHER_RUN)


PUBLISH = Start("publish", of_the_run("publish"), approved, another_run)
CANARY = Start("canary", of_the_run("canary"), published, going_back)
PROMOTE = Start("promote", of_the_run("promote"), proven, going_back)
WITHDRAW_CANDIDATE = Start("withdraw a candidate", of_the_run("withdraw"), refused, another_run)
WITHDRAW_SERVING = Start("withdraw what serves", of_the_run("withdraw"), half_promoted, going_back)
ROLL_BACK = Start("roll back", lambda: rollback_to("previous"), approved, going_back)
ROLL_BACK_FAR = Start("roll back to what is not loaded", lambda: rollback_to(1), three_released, another_run)
STARTS = (PUBLISH, CANARY, PROMOTE, WITHDRAW_CANDIDATE, WITHDRAW_SERVING, ROLL_BACK, ROLL_BACK_FAR)


class Buckets:
    """The bucket of each start, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, start: Start) -> Path:
        made = self._folder / start.name
        if not made.exists():
            with _running(self._two_released(), self._folder / "making" / start.name) as world:
                start.prepare(world)
            _copied(world.bucket, made)
        return made

    @contextmanager
    def begun(self, start: Start, folder: Path) -> Iterator[World]:
        """A world of its own, whose replicas serve what they should."""
        with _running(self.of(start), folder) as world:
            assert eventually(lambda: None not in world.answering(), PATIENCE)
            yield world

    def _two_released(self) -> Path:
        made = self._folder / "two released"
        if not made.exists():
            with _running(None, self._folder / "making" / "two released") as world:
                world.release("retrain-1")
                world.release("retrain-2")
            _copied(world.bucket, made)
        return made


@contextmanager
def _running(bucket: Path | None, folder: Path) -> Iterator[World]:
    world = World(folder, follow_seconds=PATIENCE)
    if bucket is not None:
        shutil.copytree(bucket, world.bucket)
    world.start()
    try:
        yield world
    finally:
        world.stop()


def _copied(bucket: Path, to: Path) -> None:
    """Without what the replicas of one world have put there."""
    shutil.copytree(bucket, to, ignore=shutil.ignore_patterns("digits-*", ".tmp"))
