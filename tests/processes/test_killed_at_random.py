"""SIGKILL at random moments, also in the middle of an effect, and also of the process that heals."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.hunts import hunt_cases
from tests.processes.acting import KILLED, Actor, Words, act
from tests.processes.invariants import Invariants
from tests.processes.starts import AT_ONCE, STARTS, Buckets, Start
from tests.releases import World

# Each test is many processes, and the machine may be busy.
pytestmark = pytest.mark.timeout(600)

SEEDS = 100
# A part of them is one test, so that what fails is told early and says where.
A_PART = 10
# How often the process that heals is killed as well.
AGAIN = 1 / 3


@pytest.fixture(scope="module")
def seconds(buckets: Buckets, tmp_path_factory: pytest.TempPathFactory) -> dict[Start, float]:
    """How long each verb works where nothing happens to it, without the start of its process."""
    measured = {}
    for start in STARTS:
        with (
            buckets.begun(start, tmp_path_factory.mktemp("undisturbed")) as world,
            Actor(world, *start.verb()) as actor,
        ):
            actor.wait_until("ready")
            begin = time.monotonic()
            assert ExitCode.DONE == actor.end().code
            measured[start] = time.monotonic() - begin
    return measured


@pytest.mark.parametrize("part", hunt_cases(range(SEEDS // A_PART), in_make_test=[0]))
def test_a_verb_killed_at_a_random_moment(
    part: int, seconds: dict[Start, float], buckets: Buckets, tmp_path: Path
) -> None:
    """I1 to I6 hold after every kill and after the healing, by the same verb or by others.

    A seed decides which verb, when it dies and who heals; what the verb was doing then is up to the machine.
    """
    seeds = range(part * A_PART, (part + 1) * A_PART)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_check, seconds=seconds, buckets=buckets, folder=tmp_path), seeds))


def _check(seed: int, *, seconds: dict[Start, float], buckets: Buckets, folder: Path) -> None:
    dice = random.Random(seed)  # noqa: S311 - a choice that can be repeated, not a secret
    start = dice.choice(STARTS)
    told = f"seed {seed}: {start}"
    with buckets.begun(start, folder / str(seed)) as world:
        invariants, before, verb = Invariants(world), world.history().seq, start.verb()
        _kill(world, verb, after=dice.uniform(0, seconds[start]))
        invariants.hold()
        while dice.random() < AGAIN:
            _kill(world, verb, after=dice.uniform(0, seconds[start]))
            invariants.hold()
        for words in dice.choice([[verb], start.others()]):
            healed = act(world, *words)
            invariants.hold_at_rest()
            assert healed.code in (ExitCode.DONE, ExitCode.DECLINED, ExitCode.COULD_NOT_TELL), f"{told}: {healed.log}"
            assert words != verb or ExitCode.DONE == healed.code, f"{told}: {world.events(before)} {healed.log}"
            if healed.code != ExitCode.DONE:
                break


def _kill(world: World, verb: Words, *, after: float) -> None:
    with Actor(world, *verb) as actor:
        actor.wait_until("ready")
        actor.kill_after(after)
        assert actor.end().code in (KILLED, ExitCode.DONE)
