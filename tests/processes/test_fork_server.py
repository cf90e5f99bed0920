"""A forked verb does what the verb in a fresh interpreter does, and ends as that does."""

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ExitCode
from tests.hunts import hunt_cases
from tests.processes.acting import KILLED, PROJECT, Actor, Ended, Words, act, arguments, ended, environment_of
from tests.processes.starts import PROMOTE, ROLL_BACK_FAR, STARTS, Buckets, Start
from tests.processes.stopping import KILL_AFTER
from tests.releases import World, eventually

# Each of them starts whole worlds, beside other tests.
pytestmark = pytest.mark.timeout(600)
A_PARENT_THAT_IS_KILLED = """
import os, signal
from tests.processes.acting import _started, fork_server
fork_server()
print(_started[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("start", hunt_cases(STARTS, in_make_test=[PROMOTE, ROLL_BACK_FAR]), ids=str)
def test_a_forked_verb_has_the_effects_of_one_in_a_fresh_interpreter(
    start: Start, buckets: Buckets, tmp_path: Path
) -> None:
    with buckets.begun(start, tmp_path / "fresh") as world:
        before, verb = world.history().seq, start.verb()
        fresh = _fresh(world, verb)
        events, effects = world.events(before), _names(fresh, verb)
    with buckets.begun(start, tmp_path / "forked") as world:
        verb = start.verb()
        forked = act(world, *verb)

        assert (ExitCode.DONE, []) == (fresh.code, fresh.loaded), fresh.log
        assert (fresh.code, fresh.loaded) == (forked.code, forked.loaded), forked.log
        assert effects == _names(forked, verb)
        assert fresh.line.keys() == forked.line.keys()
        assert events == world.events(before)


def test_an_error_ends_both_with_the_same_code_and_message(world: World) -> None:
    verb = ("publish", "--run", "no key")
    fresh, forked = _fresh(world, verb), act(world, *verb)

    assert (ExitCode.FAILED, ExitCode.FAILED) == (fresh.code, forked.code)
    for each in (fresh, forked):
        assert "run key 'no key' does not have the form kind-digits" in each.log


def test_an_unknown_option_ends_both_with_two(world: World) -> None:
    verb = ("publish", "--walk", "retrain-1")

    assert (2, 2) == (_fresh(world, verb).code, act(world, *verb).code)
    assert "No such option" in act(world, *verb).log


def test_a_process_may_die_of_sigkill_from_within_and_from_outside(world: World) -> None:
    world.approve("retrain-1")
    verb = ("publish", "--run", "retrain-1")

    assert KILLED == act(world, *verb, stop=f"{KILL_AFTER}:1").code
    with Actor(world, *verb, stop="hold:1") as actor:
        actor.wait_until("held")
        actor.kill()
        assert KILLED == actor.end().code


def test_it_ends_with_whoever_started_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", A_PARENT_THAT_IS_KILLED], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False
    )
    server = int(done.stdout)

    assert KILLED == done.returncode
    assert eventually(lambda: not psutil.pid_exists(server) or psutil.Process(server).status() == "zombie", 30.0)


def _fresh(world: World, words: Words) -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", "tests.processes.actor", *arguments(words)],
        env=environment_of(world),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended(done.returncode, done.stdout.splitlines(), done.stderr)


def _names(of: Ended, verb: Words) -> list[str]:
    """The effects without the key of the run, which says when a roll-back was asked for.

    The names of checkpoints and of their pages follow from it. How many pages there are too, so they count as one.
    """
    named = [re.sub(r"checkpoints/.*", "checkpoints", effect.replace(verb[-1], "KEY")) for effect in of.effects]
    return [effect for effect, _ in groupby(named)]
