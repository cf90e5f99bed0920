"""SIGKILL at each effect of a verb, then a fresh process.

F1 to F4, F6, F8: what a verb that died between two effects has left is healed by whatever verb comes next. Right after
one effect and right before the next are the same world, so each is healed once by the same verb and once by others.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.journal.entries import Event
from tests.hunts import hunt_cases
from tests.processes.acting import KILLED, Ended, Words, act, rollback_to
from tests.processes.invariants import Invariants, moves
from tests.processes.starts import (
    AT_ONCE,
    CANARY,
    PROMOTE,
    PUBLISH,
    ROLL_BACK,
    ROLL_BACK_FAR,
    STARTS,
    Buckets,
    Start,
)
from tests.processes.stopping import KILL_AFTER, KILL_BEFORE
from tests.releases import World, eventually, restart_on_an_older_config

# Each test is many processes, and the machine may be busy.
pytestmark = pytest.mark.timeout(600)

# Of the changes of the disk, which are many.
PARTS = 3


@pytest.mark.parametrize("start", hunt_cases(STARTS, in_make_test=[PUBLISH, PROMOTE, ROLL_BACK_FAR]), ids=str)
def test_a_verb_that_died_is_finished_by_the_same_verb(start: Start, buckets: Buckets, tmp_path: Path) -> None:
    """Killed before each effect: I1 to I6 hold at once, and the next process ends as if nothing had died."""
    with buckets.begun(start, tmp_path / "undisturbed") as world:
        before, verb = world.history().seq, start.verb()
        effects = _done(world, verb).effects
        written = world.events(before)
        _done(world, verb)
        assert written == world.events(before)

    def check(at: int) -> None:
        with buckets.begun(start, tmp_path / str(at)) as world:
            before, verb = world.history().seq, start.verb()
            invariants = _killed(world, verb, stop=f"{KILL_BEFORE}:{at}")
            _done(world, verb)
            invariants.hold_at_rest()
            assert written == world.events(before)

    _at_each(effects, check)


@pytest.mark.parametrize("start", hunt_cases(STARTS, in_make_test=[CANARY, ROLL_BACK]), ids=str)
def test_others_go_on_after_a_verb_that_died(start: Start, buckets: Buckets, tmp_path: Path) -> None:
    """Killed after each effect: I1 to I6 hold for whoever comes next, and for the verb when it is repeated after that.

    A retrain that is late changes nothing about what serves; a roll-back that is late is finished.
    """
    with buckets.begun(start, tmp_path / "undisturbed") as world:
        effects = _done(world, start.verb()).effects

    def check(at: int) -> None:
        with buckets.begun(start, tmp_path / str(at)) as world:
            verb = start.verb()
            invariants = _killed(world, verb, stop=f"{KILL_AFTER}:{at}")
            for words in start.others():
                other = act(world, *words)
                assert other.code in (ExitCode.DONE, ExitCode.DECLINED, ExitCode.COULD_NOT_TELL), other.log
                serving = invariants.hold_at_rest().state.serving
                if other.code != ExitCode.DONE:
                    break
            late = act(world, *verb)
            assert "crashed" != late.line["outcome"], late.log
            assert (1 if "rollback" in verb else serving) == invariants.hold_at_rest().state.serving

    _at_each(effects, check)


@pytest.mark.parametrize("first", hunt_cases(range(1, PARTS + 1), in_make_test=[1]))
def test_a_publication_that_died_between_two_changes_of_the_disk(first: int, buckets: Buckets, tmp_path: Path) -> None:
    """F2, F3, F4, F5: also in the middle of a copy or of an object, whose parts nobody sees; one change in three."""
    start, each_change = PUBLISH, {"ACTOR_DISK": "yes"}
    with buckets.begun(start, tmp_path / "undisturbed") as world:
        before = world.history().seq
        changes = act(world, *start.verb(), environment=each_change).effects
        written = world.events(before)
    assert {"open", "os.link", "os.mkdir", "os.rename", "os.remove"} == {change.split()[0] for change in changes}

    def check(at: int) -> None:
        with buckets.begun(start, tmp_path / str(at)) as world:
            invariants = Invariants(world)
            killed = act(world, *start.verb(), stop=f"{KILL_BEFORE}:{at}", environment=each_change)
            assert (KILLED, at) == (killed.code, len(killed.effects))
            invariants.hold()
            _done(world, start.verb())
            invariants.hold_at_rest()
            assert written == world.events(before)

    _at_each(changes, check, first=first, step=PARTS)


@pytest.mark.parametrize("how", [KILL_BEFORE, KILL_AFTER])
def test_a_roll_back_that_died_while_it_healed_a_replica(how: str, buckets: Buckets, tmp_path: Path) -> None:
    """F26: a replica that has not loaded the target refuses the config with the label on it, until it is healed."""
    with buckets.begun(ROLL_BACK, tmp_path) as world:
        restart_on_an_older_config(world, world.replicas[1], without=1)
        assert eventually(lambda: [2, 2] == world.answering())
        verb = rollback_to("previous")
        invariants = _killed(world, verb, stop=f"{KILL_AFTER}:2")
        world.replicas[1].wake()
        healing = act(world, *verb, stop=f"{how}:1")
        assert (KILLED, [f"reload {world.replicas[1].address}"]) == (healing.code, healing.effects)
        _done(world, verb)

        assert 1 == invariants.hold_at_rest().state.serving
        assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2)] == moves(world)[-2:]


def _killed(world: World, verb: Words, *, stop: str) -> Invariants:
    """The verb has died, and the invariants have held before and after."""
    invariants = Invariants(world)
    assert KILLED == act(world, *verb, stop=stop).code
    invariants.hold()
    return invariants


def _done(world: World, words: Words) -> Ended:
    """The verb has come to a good end, and has loaded nothing that a person would wait for."""
    ended = act(world, *words)
    assert (ExitCode.DONE, []) == (ended.code, ended.loaded), ended.log
    return ended


def _at_each(effects: list[str], check: Callable[[int], None], *, first: int = 1, step: int = 1) -> None:
    numbers = range(first, len(effects) + 1, step)
    assert numbers
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(check, numbers))
