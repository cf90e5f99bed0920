"""Two processes brought to the same point, and let go together or one after the other: the effect is that of one."""

from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.journal.entries import Event
from tests.hunts import hunt_cases
from tests.processes.acting import Actor, Ended, Words, act, rollback_to
from tests.processes.invariants import Invariants, moves
from tests.processes.starts import (
    CANARY,
    OTHER_RUN,
    ROLL_BACK,
    RUN,
    STARTS,
    WITHDRAW_SERVING,
    Buckets,
    Start,
    approved,
    proven,
    published,
    three_released,
)
from tests.processes.stopping import HOLD
from tests.released import start_released
from tests.releases import World

# Each test is several processes, and the machine may be busy.
pytestmark = pytest.mark.timeout(600)

PUBLISH, OTHER_PUBLISH = ("publish", "--run", RUN), ("publish", "--run", OTHER_RUN)
PROMOTE = ("promote", "--run", RUN)
EFFECTS_OF_PUBLISH = (
    "journal/digits/00000011",
    "manifests/",
    "copy serve/",
    "journal/digits/00000012",
    "publish.json",
)


@pytest.fixture
def invariants(world: World) -> Invariants:
    """Of a world in which v1 and v2 have been released, and v2 serves."""
    world.follow_seconds = 60.0
    start_released(world, 2)
    return Invariants(world)


@pytest.mark.parametrize(
    "effect", hunt_cases(EFFECTS_OF_PUBLISH, in_make_test=["manifests/", "journal/digits/00000012"])
)
def test_a_zombie_and_its_retry_publish_one_version(effect: str, world: World, invariants: Invariants) -> None:
    """F10: at the claim, the manifest, the copy, the entry and the record."""
    approved(world)
    before = world.history().seq

    both = together(world, PUBLISH, PUBLISH, effect=effect)

    assert [(ExitCode.DONE, 3)] * 2 == [(each.code, each.line["version"]) for each in both]
    assert [(Event.CLAIMED, 3), (Event.PUBLISHED, 3)] == world.events(before)
    invariants.hold_at_rest()


@pytest.mark.parametrize("effect", hunt_cases([1, 2, 3, 4, 5], in_make_test=[1, 4]))
def test_a_zombie_that_comes_late_changes_nothing(effect: int, world: World, invariants: Invariants) -> None:
    """F10: it stands still at any effect while its retry and another run publish, and goes on after them."""
    approved(world)
    before = world.history().seq

    with Actor(world, *PUBLISH, stop=f"{HOLD}:{effect}") as zombie:
        zombie.wait_until("held")
        retry, other = act(world, *PUBLISH), act(world, *OTHER_PUBLISH)
        written = world.events(before)
        invariants.hold()
        zombie.remove_leaving()
        late = zombie.end()

    assert [(ExitCode.DONE, 3), (ExitCode.DONE, 4), (ExitCode.DONE, 3)] == [
        (each.code, each.line["version"]) for each in (retry, other, late)
    ]
    assert written == world.events(before)
    invariants.hold_at_rest()


def test_two_runs_that_claim_at_once_get_two_numbers(world: World, invariants: Invariants) -> None:
    """F11: both have read the same journal; who loses the entry takes the next number, in the order of the claims."""
    approved(world)
    before = world.history().seq

    both = together(world, PUBLISH, OTHER_PUBLISH, effect="1")

    assert [ExitCode.DONE] * 2 == [each.code for each in both]
    assert both[0].effects[0] == both[1].effects[0]
    claims = [entry for entry in world.history().all() if entry.seq > before and entry.event is Event.CLAIMED]
    assert [3, 4] == [entry.version for entry in claims]
    assert {RUN: both[0].line["version"], OTHER_RUN: both[1].line["version"]} == {
        entry.run_key: entry.version for entry in claims
    }
    invariants.hold_at_rest()


@pytest.mark.parametrize("target", ["previous", "1"])
def test_two_on_call_roll_back_at_once(target: str, world: World, invariants: Invariants) -> None:
    """F45: each asks in their own name; one effect, and both are told that it is done."""
    before = world.history().seq

    both = together(world, rollback_to(target), rollback_to(target), effect="1")

    assert [(ExitCode.DONE, 1)] * 2 == [(each.code, each.line["version"]) for each in both]
    assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2)] == moves(world, before)
    invariants.hold_at_rest()


@pytest.mark.parametrize("effect", hunt_cases([1, 2, 3, 4, 5], in_make_test=[2, 3]))
def test_a_roll_back_that_is_held_up_is_finished_by_another(effect: int, world: World, invariants: Invariants) -> None:
    """F45: a colleague asks for the same while the first stands still at any effect, and then goes on."""
    before = world.history().seq

    with Actor(world, *rollback_to(1), stop=f"{HOLD}:{effect}") as slow:
        slow.wait_until("held")
        quick = act(world, *rollback_to(1))
        invariants.hold_at_rest()
        slow.remove_leaving()
        late = slow.end()

    assert [(ExitCode.DONE, 1)] * 2 == [(each.code, each.line["version"]) for each in (quick, late)]
    assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2)] == moves(world, before)
    invariants.hold_at_rest()


def test_two_on_call_load_an_old_version_at_once(world: World, invariants: Invariants) -> None:
    """F45: the target is not in memory."""
    three_released(world)
    before = world.history().seq

    both = together(world, rollback_to(1), rollback_to(1), effect="1")

    assert [(ExitCode.DONE, 1)] * 2 == [(each.code, each.line["version"]) for each in both]
    assert [(Event.EXPOSED, 1), (Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 3)] == moves(world, before)
    invariants.hold_at_rest()


def test_a_roll_back_and_a_promotion_at_once(world: World, invariants: Invariants) -> None:
    """F44: the journal decides; who loses declines, and says why."""
    proven(world)

    promotion, back = together(world, PROMOTE, rollback_to("previous"), effect="1")

    serving = invariants.hold_at_rest().state.serving
    assert (promotion.code, back.code, serving) in [
        (ExitCode.DONE, ExitCode.DECLINED, 3),
        (ExitCode.DECLINED, ExitCode.DONE, 1),
    ]


def test_a_roll_back_applies_to_what_served_when_it_was_asked_for(world: World, invariants: Invariants) -> None:
    """F44: the promotion of a newer version comes between the request and its first entry, and stands."""
    proven(world)

    with Actor(world, *rollback_to("previous"), stop=f"{HOLD}:1") as back:
        back.wait_until("held")
        promotion = act(world, *PROMOTE)
        back.remove_leaving()
        late = back.end()

    assert (ExitCode.DONE, ExitCode.DECLINED) == (promotion.code, late.code)
    assert "v3 serves since" in late.reason
    assert 3 == invariants.hold_at_rest().state.serving


def test_a_promotion_that_comes_after_a_roll_back_declines(world: World, invariants: Invariants) -> None:
    """F44: what the candidate was compared with does not serve any more."""
    proven(world)

    with Actor(world, *PROMOTE, stop=f"{HOLD}:1") as promotion:
        promotion.wait_until("held")
        back = act(world, *rollback_to("previous"))
        promotion.remove_leaving()
        late = promotion.end()

    assert (ExitCode.DONE, ExitCode.DECLINED) == (back.code, late.code)
    assert 1 == invariants.hold_at_rest().state.serving


@pytest.mark.parametrize("effect", hunt_cases([2, 3, 4, 5], in_make_test=[2, 4]))
def test_a_slow_promotion_never_undoes_a_roll_back(effect: int, world: World, invariants: Invariants) -> None:
    """F44: it stands still before the config, the confirmation or its record, while a person goes back."""
    proven(world)

    with Actor(world, *PROMOTE, stop=f"{HOLD}:{effect}") as promotion:
        promotion.wait_until("held")
        back = act(world, *rollback_to("previous"))
        written = world.events()
        invariants.hold_at_rest()
        promotion.remove_leaving()
        late = promotion.end()

    assert ExitCode.DONE == back.code, back.log
    assert (ExitCode.DECLINED if effect < 4 else ExitCode.DONE) == late.code, late.log
    assert written == world.events()
    assert 2 == invariants.hold_at_rest().state.serving


def test_two_candidates_at_once(world: World, invariants: Invariants) -> None:
    """One seat: the newer candidate has it in the end, and the older declines unless it was proven before that."""
    published(world)
    world.run("publish", OTHER_RUN)

    older, newer = together(world, ("canary", "--run", RUN), ("canary", "--run", OTHER_RUN), effect="1")

    assert ExitCode.DONE == newer.code
    assert older.code in (ExitCode.DONE, ExitCode.DECLINED)
    assert 4 == invariants.hold_at_rest().state.candidate


@pytest.mark.parametrize("start", hunt_cases(STARTS, in_make_test=[CANARY, WITHDRAW_SERVING, ROLL_BACK]), ids=str)
def test_a_verb_done_twice_at_once(start: Start, buckets: Buckets, tmp_path: Path) -> None:
    """I6: two copies, held right before their first effect, write what one alone would have written."""
    with buckets.begun(start, tmp_path / "alone") as world:
        before = world.history().seq
        assert ExitCode.DONE == act(world, *start.verb()).code
        written = world.events(before)
    with buckets.begun(start, tmp_path / "twice") as world:
        invariants, verb = Invariants(world), start.verb()
        both = together(world, verb, verb, effect="1")

        assert [ExitCode.DONE] * 2 == [each.code for each in both], both
        assert written == world.events(before)
        invariants.hold_at_rest()


def together(world: World, one: Words, other: Words, *, effect: str) -> list[Ended]:
    """Both stand at the effect; then both go on."""
    stop = f"{HOLD}:{effect}"
    with Actor(world, *one, stop=stop) as first, Actor(world, *other, stop=stop) as second:
        for actor in (first, second):
            actor.wait_until("held")
        for actor in (first, second):
            actor.remove_leaving()
        return [first.end(), second.end()]
