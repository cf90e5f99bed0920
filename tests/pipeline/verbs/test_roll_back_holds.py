"""A roll-back holds promotions, so that the next retrain does not undo it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout
from pipeline.errors import BadInputError, DeclinedError
from pipeline.inspection.rollback_plan import plan
from pipeline.inspection.status import table
from pipeline.journal.entries import Event
from pipeline.journal.state import State, roll_back
from pipeline.moments import Until, hold_until, longest
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import hold_promotions
from pipeline.runs.forms import RollbackForm
from pipeline.spec import AutomaticRollback
from pipeline.verbs.freeze import freeze
from pipeline.verbs.pin import pin
from pipeline.verbs.rollback import request_for, rollback
from pipeline.verbs.snapshot import snapshot
from pipeline.verbs.status import status
from pipeline.verbs.train import train
from pipeline.verbs.unfreeze import unfreeze
from tests.half_way import begin_promotion
from tests.pipeline.journal.test_journal import Releases
from tests.pipeline.test_cli import line, pipeline
from tests.released import start_released
from tests.releases import MODEL, SPEC, World, over_both

NOW = datetime(2026, 12, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
HOLDS = st.one_of(st.none(), st.just("lifted"), st.datetimes(timezones=st.just(UTC)))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v3 serves."""
    made = Releases(tmp_path / "bucket")
    for number in (1, 2, 3):
        made.release(f"retrain-{number}")
    return made


class TestRules:
    def test_the_hold_is_part_of_the_entry_that_moves_traffic(self, releases: Releases) -> None:
        before = releases.history().seq
        history = releases.roll_back(2, "rollback-5", hold="lifted")

        moved = history.all()[before]
        assert (Event.ROLLED_BACK, "lifted") == (moved.event, moved.state.held_until)
        (hold,) = holds.active_holds(history, now=NOW)
        assert "promotions are held until lifted after a roll-back to v2, by ann since" in str(hold)
        assert str(history.state).endswith("promotions held until lifted")

    def test_a_hold_for_a_time_is_over_then(self, releases: Releases) -> None:
        history = releases.roll_back(2, "rollback-5", hold=LATER)

        assert 1 == len(holds.active_holds(history, now=LATER - timedelta(seconds=1)))
        assert [] == holds.active_holds(history, now=LATER)

    def test_without_a_hold_promotions_go_on(self, releases: Releases) -> None:
        assert [] == holds.active_holds(releases.roll_back(2, "rollback-5", hold=None), now=NOW)

    def test_a_later_roll_back_never_shortens_a_hold(self, releases: Releases) -> None:
        releases.roll_back(2, "rollback-5", hold="lifted")
        for number, hold in enumerate((LATER, None), 6):
            history = releases.roll_back(1 + number % 2, f"rollback-{number}", hold=hold)

            assert "lifted" == history.state.held_until

    @given(before=HOLDS, hold=HOLDS)
    def test_no_roll_back_shortens_a_hold(self, before: Until | None, hold: Until | None) -> None:
        state = State(serving=2, previous=1, next_version=3, held_until=before)
        after = roll_back(state, 1, previous=None, hold=hold).held_until

        assert after == longest(before, after)
        assert after == longest(hold, after)

    def test_a_pin_of_another_version_ends_and_promotions_stay_held(self, releases: Releases) -> None:
        releases.journal("rollback-4").decide(partial(holds.pin, version=3, reason="the customer's"))
        history = releases.roll_back(2, "rollback-5", hold=None)

        assert (None, "lifted") == (history.state.pinned, history.state.held_until)

    def test_a_freeze_stays_as_it_is(self, releases: Releases) -> None:
        releases.journal("freeze-4").decide(partial(holds.freeze, until=LATER, reason="Christmas", now=NOW))
        history = releases.roll_back(2, "rollback-5", hold=NOW + timedelta(hours=1))

        assert LATER == history.state.frozen_until
        assert ["freeze", "roll-back"] == [hold.kind for hold in holds.active_holds(history, now=NOW)]

    def test_a_target_that_serves_already_is_held_all_the_same(self, releases: Releases) -> None:
        """A colleague was faster, and held nothing."""
        releases.roll_back(2, "rollback-5", hold=None)
        history = releases.roll_back(2, "rollback-6", hold="lifted")

        assert (Event.HELD, "promotions held") == (history.all()[-1].event, history.all()[-1].description)
        assert "lifted" == history.state.held_until
        assert history.seq == releases.roll_back(2, "rollback-7", hold="lifted").seq

    def test_a_repeated_roll_back_does_not_hold_again_what_a_person_has_lifted(self, releases: Releases) -> None:
        releases.roll_back(2, "rollback-5", hold="lifted")
        lifted = releases.journal("unfreeze-6").decide(partial(holds.unfreeze, reason="it is over"))

        assert None is lifted.state.held_until
        assert lifted.seq == releases.roll_back(2, "rollback-5", hold="lifted").seq

    def test_a_hold_that_was_lifted_since_it_was_asked_for_does_not_come_back(self, releases: Releases) -> None:
        """Two ask at once; the second finds the target serving and held, is repeated later, and all was lifted."""
        asked = releases.request("rollback-6", "2", hold="lifted")
        releases.roll_back(2, "rollback-5", hold="lifted")
        releases.journal("unfreeze-7").decide(partial(holds.unfreeze, reason="it is over"))
        history = releases.journal("rollback-6").decide(partial(hold_promotions, request=asked, target=2))

        assert None is history.state.held_until

    def test_nothing_is_held_for_a_target_that_does_not_serve_any_more(self, releases: Releases) -> None:
        asked = releases.request("rollback-6", "3", hold="lifted")
        releases.release("retrain-4")

        with pytest.raises(DeclinedError, match="v3 does not serve any more, so nothing is held"):
            releases.journal("rollback-6").decide(partial(hold_promotions, request=asked, target=3))

    def test_a_promotion_that_is_undone_holds_what_it_is_told_to(self, releases: Releases) -> None:
        version = releases.publish("retrain-4")
        releases.expose("retrain-4", version)
        releases.promote("retrain-4", version)
        history = releases.journal("retrain-4").decide(
            lambda h: run_rules.undo_promotion(h, version=version, run_key="retrain-4", reason="late", hold=LATER)
        )

        assert (3, LATER) == (history.state.serving, history.state.held_until)


class TestWords:
    @pytest.mark.parametrize(
        ("expected", "text"),
        [
            ("lifted", "until lifted"),
            (None, "none"),
            (LATER, "24h"),
            (NOW + timedelta(minutes=90), " 90m "),
            (LATER, "2026-12-21T12:00"),
        ],
    )
    def test_how_long(self, expected: Until | None, text: str) -> None:
        assert expected == hold_until(text, now=NOW)

    @pytest.mark.parametrize("text", ["", "for ever", "24", "until", "lifted"])
    def test_anything_else_is_refused_with_what_would_do(self, text: str) -> None:
        with pytest.raises(BadInputError, match=r"does not say how long .* give `until lifted`, `none`, a duration"):
            hold_until(text, now=NOW)

    def test_a_moment_that_has_passed_is_refused(self) -> None:
        with pytest.raises(BadInputError, match="2026-12-19 00:00 UTC: that has passed"):
            hold_until("2026-12-19", now=NOW)

    def test_a_person_who_says_nothing_holds(self) -> None:
        assert "until lifted" == RollbackForm().hold

    @pytest.mark.parametrize(("to", "text"), [("4", "v4"), ("4", "4"), ("4", " v4 "), ("previous", " previous ")])
    def test_a_version_may_be_written_as_it_is_shown(self, to: str, text: str) -> None:
        assert to == RollbackForm(to=text).to


@pytest.fixture
def held(world: World) -> World:
    """v2 was left for v1 by a person, with what `--hold` is by default."""
    start_released(world, 2)
    context = world.context("rollback-3")
    rollback(context, request_for(context, to="previous", reason="it is bad", asked_at=None, hold="until lifted"))
    return world


class TestRuns:
    def test_a_run_of_a_person_declines_at_publish_and_is_told_how_to_lift_the_hold(self, held: World) -> None:
        held.approve("retrain-4")
        told = (
            r"promotions are held until lifted after a roll-back to v1, by ann since .*: it is bad\. To lift every "
            r"hold: the DAG `unfreeze`, or `understudy unfreeze --model digits --reason "
        )
        for _ in range(2):
            with pytest.raises(DeclinedError, match=told):
                held.run("publish", "retrain-4")
        assert [1, 1] == held.answering()

    @pytest.mark.parametrize("verb", [snapshot, train], ids=["snapshot", "train"])
    def test_a_scheduled_run_declines_before_it_has_done_anything(
        self, held: World, verb: Callable[..., object]
    ) -> None:
        held.approve("retrain-4")
        held.extra["scheduled"] = True
        with pytest.raises(DeclinedError, match="promotions are held until lifted"):
            verb(held.context("retrain-4"))

    @over_both
    def test_after_unfreeze_runs_go_on(self, held: World) -> None:
        unfreeze(held.context("unfreeze-4"), reason="repaired")
        held.approve("retrain-4")
        for verb in ("publish", "canary", "promote"):
            held.run(verb, "retrain-4")

        assert [3, 3] == held.answering()

    def test_status_says_who_holds_promotions_and_how_to_lift_it(self, held: World) -> None:
        found = status(held.context("look-1"))
        told = [str(getattr(each, "plain", "")) for each in table(found).renderables]

        assert any("held until lifted after a roll-back to v1, by ann" in each for each in told)
        assert any("To lift every hold: the DAG `unfreeze`" in each for each in told)
        assert {"kind": "roll-back", "version": 1, "until": "lifted"}.items() <= found.as_json()["holds"][0].items()

    def test_a_plan_says_what_becomes_of_promotions(self, world: World) -> None:
        start_released(world, 2)

        def planned(hold: str) -> str:
            context = world.context("rollback-9")
            return plan(context, request_for(context, to="previous", reason="", asked_at=None, hold=hold))[1]

        assert planned("until lifted").startswith("`previous` is v1: v2 will be replaced by v1; ")
        assert "Promotions are then held until lifted. To lift every hold: the DAG" in planned("until lifted")
        assert "Promotions are not held afterwards: the next retrain may replace it" in planned("none")
        freeze(world.context("freeze-1"), until="1h", reason="Christmas")
        assert "Promotions are" not in planned("none"), "they are held otherwise"
        pin(world.context("rollback-8"), request_for(world.context("rollback-8"), to="2", reason="why", asked_at=None))
        assert "The pin of v2 ends. Promotions are then held until lifted" in planned("none")

    @pytest.mark.parametrize(("hold", "expected"), [("none", None), ("until lifted", "lifted")])
    def test_an_automatic_roll_back_holds_what_the_model_file_says(
        self, world: World, hold: str, expected: str | None
    ) -> None:
        start_released(world, 1)
        world.spec = SPEC.model_copy(update={"automatic_rollback": AutomaticRollback(hold=hold)})
        world.publish("retrain-2")
        world.run("canary", "retrain-2")
        begin_promotion(world, "retrain-2")
        world.run("withdraw", "retrain-2")

        assert (1, expected) == (world.history().state.serving, world.history().state.held_until)


@pytest.mark.parametrize("damage", ["{", '{"outcome": "done"}'])
def test_an_automatic_roll_back_does_not_wait_for_a_record_that_cannot_be_read(world: World, damage: str) -> None:
    """What the model file says of holds is worth less than what users are answered."""
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    begin_promotion(world, "retrain-2")
    (world.bucket / layout.record(MODEL, "retrain-2", "spec")).write_text(damage)
    world.run("withdraw", "retrain-2")

    assert (1, None) == (world.history().state.serving, world.history().state.held_until)
    assert [1, 1] == world.answering()


def test_by_hand_a_roll_back_holds_unless_it_is_told_otherwise(world: World) -> None:
    for number in (1, 2):
        world.release(f"retrain-{number}")
    environment = {
        "UNDERSTUDY_REPLICAS": ",".join(each.address for each in world.replicas),
        "UNDERSTUDY_ROOT": str(world.bucket),
    }
    done = pipeline(world.folder, "rollback", "--to", "v1", "--reason", "it is bad", **environment)

    assert 0 == done.returncode, done.stderr
    assert "done" == line(done)["outcome"]
    assert "lifted" == world.history().state.held_until
    done = pipeline(world.folder, "unfreeze", "--reason", "repaired", **environment)
    assert None is world.history().state.held_until
    done = pipeline(world.folder, "rollback", "--to", "2", "--hold", "none", "--reason", "it was good", **environment)
    assert (0, None) == (done.returncode, world.history().state.held_until)
    done = pipeline(world.folder, "rollback", "--hold", "a while", "--reason", "bad", **environment)
    assert 1 == done.returncode
    assert "'a while' does not say how long promotions are to be held" in done.stderr
