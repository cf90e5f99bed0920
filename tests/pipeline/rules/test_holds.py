"""While a person holds promotions nothing is promoted, everything else goes on, and everybody is told."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError
from pipeline.inspection.rollback_plan import plan
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History, Rule
from pipeline.journal.state import State
from pipeline.moments import moment
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.verbs.freeze import freeze
from pipeline.verbs.pin import pin
from pipeline.verbs.publish import publish
from pipeline.verbs.rollback import request_for
from pipeline.verbs.status import status
from pipeline.verbs.unfreeze import unfreeze
from tests.half_way import HOURS, begin_promotion, coming, registry
from tests.pipeline.journal.test_journal import PASS, Releases
from tests.pipeline.test_cli import line, pipeline
from tests.released import start_released
from tests.releases import World

NOW = datetime(2026, 12, 20, 12, tzinfo=UTC)
CHRISTMAS = datetime(2026, 12, 24, tzinfo=UTC)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v2 serves, and v1 is the way back."""
    made = Releases(tmp_path / "bucket")
    made.release("retrain-1")
    made.release("retrain-2")
    return made


def pinned(releases: Releases, version: int) -> History:
    return releases.journal("rollback-7").decide(partial(holds.pin, version=version, reason="an incident"))


def frozen(releases: Releases, until: datetime = CHRISTMAS, *, now: datetime = NOW) -> History:
    return releases.journal("freeze-7").decide(partial(holds.freeze, until=until, reason="Christmas", now=now))


def unfrozen(releases: Releases) -> History:
    return releases.journal("unfreeze-7").decide(partial(holds.unfreeze, reason="it is over"))


def pin_in(world: World, version: int, run_key: str = "rollback-7") -> History:
    context = world.context(run_key)
    return pin(context, request_for(context, to=str(version), reason="an incident", asked_at=None))


def freeze_in(world: World) -> History:
    return freeze(world.context("freeze-7"), until="1h", reason="Christmas")


class TestRules:
    def test_a_pin_keeps_what_serves(self, releases: Releases) -> None:
        history = pinned(releases, 2)

        assert State(serving=2, previous=1, pinned=2, next_version=3) == history.state
        assert "v2 pinned" == history.all()[-1].description
        assert history.seq == pinned(releases, 2).seq

    def test_what_does_not_serve_is_not_pinned(self, releases: Releases) -> None:
        """Another promotion may have been faster."""
        with pytest.raises(DeclinedError, match=r"v1 does not serve any more .*To pin it: `understudy pin "):
            pinned(releases, 1)
        assert releases.history().state.pinned is None

    def test_a_roll_back_to_another_version_ends_a_pin(self, releases: Releases) -> None:
        pinned(releases, 2)

        assert releases.roll_back(1, "rollback-8").state.pinned is None

    def test_a_pin_holds_under_the_number_its_model_is_reissued_with(self, releases: Releases) -> None:
        pinned(releases, 2)
        history = releases.journal("reconcile-8").decide(
            lambda h: run_rules.reissue(h, version=2, reason="a replica is stuck")
        )
        (hold,) = holds.active_holds(history, now=NOW)

        assert (3, "an incident") == (hold.version, hold.reason)
        assert history.seq == pinned(releases, 2).seq

    def test_a_pinned_version_is_not_taken_back_by_its_run(self, releases: Releases) -> None:
        """A person has decided about a promotion that stopped half-way."""
        version = releases.publish("retrain-3")
        releases.expose("retrain-3", version)
        releases.promote("retrain-3", version)
        pinned(releases, version)

        with pytest.raises(DeclinedError, match=r"v3 is pinned\. To leave it: `understudy rollback "):
            releases.journal("retrain-3").decide(
                lambda h: run_rules.undo_promotion(h, version=version, run_key="retrain-3", reason="late")
            )

    def test_a_freeze_is_about_no_version(self, releases: Releases) -> None:
        history = frozen(releases)

        assert (0, "promotions frozen") == (history.all()[-1].version, history.all()[-1].description)
        assert "serving v2, previous v1, frozen until 2026-12-24 00:00 UTC" == str(history.state)

    def test_the_same_freeze_again_is_no_other_and_a_later_one_takes_its_place(self, releases: Releases) -> None:
        first, again, later = frozen(releases), frozen(releases), frozen(releases, CHRISTMAS + timedelta(days=2))

        assert (first.seq, first.seq + 1) == (again.seq, later.seq)
        assert [CHRISTMAS + timedelta(days=2)] == [hold.until for hold in holds.active_holds(later, now=NOW)]

    def test_a_freeze_until_a_moment_that_has_passed_is_refused(self, releases: Releases) -> None:
        told = re.escape(
            "2026-12-24 00:00 UTC has passed: it is 2026-12-24 00:00 UTC. Nothing was changed. Give a later moment. To "
            "end a freeze: `understudy unfreeze --model <model> --reason why`"
        )
        with pytest.raises(BadInputError, match=told):
            frozen(releases, now=CHRISTMAS)

    def test_a_freeze_that_is_over_holds_nothing(self, releases: Releases) -> None:
        history = frozen(releases)

        assert 1 == len(holds.active_holds(history, now=CHRISTMAS - timedelta(seconds=1)))
        assert [] == holds.active_holds(history, now=CHRISTMAS)

    def test_unfreeze_ends_pin_and_freeze_and_twice_is_once(self, releases: Releases) -> None:
        pinned(releases, 2)
        frozen(releases)
        history, again = unfrozen(releases), unfrozen(releases)

        assert State(serving=2, previous=1, next_version=3) == history.state
        assert "promotions unfrozen" == history.all()[-1].description
        assert history.seq == again.seq

    def test_a_run_is_told_who_holds_promotions_why_until_when_and_what_to_do(self, releases: Releases) -> None:
        pinned(releases, 2)
        frozen(releases)
        rule = declined_if_held(claim("retrain-3", serving=2))
        told = (
            r"v2 is pinned, by ann since 20.* UTC: an incident; promotions are frozen until 2026-12-24 00:00 UTC, "
            r"by ann since 20.* UTC: Christmas. To lift every hold: the DAG `unfreeze`, or `understudy "
            r"unfreeze --model digits --reason \"why it is over\"`. Then trigger a new run"
        )

        with pytest.raises(DeclinedError, match=told):
            releases.journal("retrain-3").decide(rule)

    def test_a_run_is_told_of_the_pin_also_where_it_would_decline_because_of_it(self, releases: Releases) -> None:
        """It was compared with what the pin has left."""
        releases.roll_back(1, "rollback-6")
        pinned(releases, 1)

        with pytest.raises(DeclinedError, match="v1 is pinned, by ann"):
            releases.journal("retrain-3").decide(declined_if_held(claim("retrain-3", serving=2)))

    def test_a_run_that_declines_for_another_reason_says_so(self, releases: Releases) -> None:
        with pytest.raises(DeclinedError, match="v2 serves now, and this candidate was compared with v1"):
            releases.journal("retrain-3").decide(
                holds.declined_if_held(claim("retrain-3", serving=1), now=NOW, model="digits")
            )

    def test_a_claim_that_was_made_before_a_freeze_stands(self, releases: Releases) -> None:
        releases.publish("retrain-3")
        history = frozen(releases)

        assert history == releases.journal("retrain-3").decide(declined_if_held(claim("retrain-3", serving=2)))

    def test_a_freeze_that_comes_between_reading_and_writing_wins(self, releases: Releases) -> None:
        def rule(history: History) -> Change | None:
            frozen(releases)  # twice is once
            return claim("retrain-3", serving=2)(history)

        with pytest.raises(DeclinedError, match="frozen until"):
            releases.journal("retrain-3").decide(declined_if_held(rule))
        assert Event.FROZEN is releases.history().all()[-1].event


def declined_if_held(rule: Rule) -> Rule:
    return holds.declined_if_held(rule, now=NOW, model="digits")


def claim(run_key: str, *, serving: int) -> Rule:
    return partial(run_rules.claim, run_key=run_key, compared_with=serving, reason="good", verdict=PASS)


class TestMoments:
    @pytest.mark.parametrize(
        ("expected", "text"),
        [
            (CHRISTMAS, "2026-12-24"),
            (CHRISTMAS.replace(hour=8), "2026-12-24T08:00"),
            (CHRISTMAS.replace(hour=7), "2026-12-24T08:00+01:00"),
            (CHRISTMAS.replace(hour=8), "2026-12-24 08:00Z"),
            (NOW + timedelta(minutes=90), "90m"),
            (NOW + timedelta(hours=12), "12h"),
            (NOW + timedelta(days=3), "3d"),
        ],
    )
    def test_moments_are_written_as_people_write_them(self, expected: datetime, text: str) -> None:
        assert expected == moment(text, now=NOW)
        assert UTC is moment(text, now=NOW).tzinfo

    @pytest.mark.parametrize(
        "text", ["", "soon", "3", "3w", "-3d", "24.12.2026", "2026-13-01", "9" * 30 + "d", "9999-12-31T23:00-10:00"]
    )
    def test_what_is_no_moment_is_refused_with_what_would_be_one(self, text: str) -> None:
        with pytest.raises(
            BadInputError, match=re.escape(f"{text!r} is not a date, a time or a duration. Examples: 2026-12-24")
        ):
            moment(text, now=NOW)


@pytest.fixture
def released(world: World) -> World:
    """v1 serves; the run of v2 goes as far as a test lets it."""
    start_released(world, 1)
    world.approve("retrain-2")
    return world


class TestRuns:
    @pytest.mark.parametrize("hold", [lambda world: pin_in(world, 1), freeze_in], ids=["pin", "freeze"])
    @pytest.mark.parametrize("steps", [["publish"], ["publish", "canary"], ["publish", "canary", "promote"]])
    def test_runs_on_their_way_decline_and_give_their_candidate_up(
        self, released: World, hold: Callable[[World], History], steps: list[str]
    ) -> None:
        *before, last = steps
        for verb in before:
            released.run(verb, "retrain-2")
        hold(released)

        for _ in range(2):
            with pytest.raises(DeclinedError, match=r"by ann since .*: (an incident|Christmas)"):
                released.run(last, "retrain-2")
        assert (1, None) == (released.history().state.serving, released.history().state.candidate)
        assert [1, 1] == released.answering()

    def test_mlflow_hears_of_a_run_that_is_held_before_it_has_a_version(self, released: World) -> None:
        freeze_in(released)
        mlflow = registry()
        declined = publish(coming(released, "retrain-2", mlflow=mlflow))

        assert "declined" == declined.outcome
        assert "declined by publish" == mlflow.runs[""]["decision"]
        assert mlflow.runs[""]["status"].startswith(
            "Declined by publish, and nothing was published: promotions are frozen "
        )

    def test_a_run_that_has_promoted_confirms_it_although_frozen(self, released: World) -> None:
        for verb in ("publish", "canary"):
            released.run(verb, "retrain-2")
        begin_promotion(released, "retrain-2")
        freeze_in(released)
        record = released.run("promote", "retrain-2")

        assert "done" == record.outcome
        assert released.history().is_confirmed(2)
        assert [2, 2] == released.answering()

    def test_runs_go_on_when_a_person_has_ended_the_freeze(self, released: World) -> None:
        freeze_in(released)
        unfreeze(released.context("unfreeze-8"), reason="it is over")
        for verb in ("publish", "canary", "promote"):
            released.run(verb, "retrain-2")

        assert [2, 2] == released.answering()


class TestPin:
    def test_a_pin_of_what_serves_is_an_entry_and_nothing_else(self, released: World) -> None:
        before = released.history().seq
        pin_in(released, 1)
        pin_in(released, 1, "rollback-8")

        assert [(Event.PINNED, 1)] == released.events(after=before)

    def test_the_plan_of_a_roll_back_says_which_pin_it_ends(self, released: World) -> None:
        pin_in(released, released.release("retrain-3"))
        context = released.context("rollback-8")
        _, told = plan(context, request_for(context, to="previous", reason="it is bad", asked_at=None))

        assert "The pin of v2 ends" in told

    def test_a_pin_of_another_version_rolls_back_to_it_first(self, released: World) -> None:
        released.release("retrain-3")
        before = released.history().seq
        pin_in(released, 1)

        events = released.events(after=before)
        assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 1), (Event.PINNED, 1)] == events
        assert [1, 1] == released.answering()

    def test_a_pin_holds_also_where_a_replica_has_not_followed(self, released: World) -> None:
        released.release("retrain-3")
        released.follow_seconds = 1.0
        released.replicas[1].stop()

        with pytest.raises(CouldNotTellError, match="Not followed"):
            pin_in(released, 1)
        assert (1, 1) == (released.history().state.serving, released.history().state.pinned)

    @pytest.mark.parametrize(("version", "told"), [(2, "v2 has never served"), (9, "v9 has never served")])
    def test_a_pin_of_what_has_never_served_is_refused(self, released: World, version: int, told: str) -> None:
        released.run("publish", "retrain-2")
        before = released.history().seq

        with pytest.raises(BadInputError, match=told):
            pin_in(released, version)
        assert before == released.history().seq


class TestFreeze:
    def test_a_freeze_stops_no_roll_back(self, released: World) -> None:
        released.release("retrain-3")
        freeze_in(released)
        released.roll_back("previous")

        assert [1, 1] == released.answering()
        assert released.history().state.frozen_until is not None


class TestStatus:
    def test_status_says_who_holds_promotions_and_finds_nothing_wrong_with_it(self, released: World) -> None:
        pin_in(released, 1)
        freeze_in(released)
        address = {"UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in released.replicas)}
        found = json.loads(pipeline(released.folder, "status", "--json", **address).stdout)
        table = pipeline(released.folder, "status", COLUMNS="200", **address).stdout

        assert [("pin", 1, "ann"), ("freeze", None, "ann")] == [
            (hold["kind"], hold["version"], hold["by"]) for hold in found["holds"]
        ]
        assert datetime.now(UTC) < datetime.fromisoformat(found["holds"][1]["until"])
        assert not any("pin" in difference or "frozen" in difference for difference in found["differences"])
        assert re.search(r"^v1 is pinned, by ann since .* UTC: an incident$", table, re.MULTILINE)
        assert re.search(r"^promotions are frozen until .* UTC, by ann since .* UTC: Christmas$", table, re.MULTILINE)

    def test_status_does_not_show_a_freeze_that_is_over(self, released: World) -> None:
        freeze_in(released)

        assert 1 == len(status(coming(released, "status-0")).holds)
        assert [] == status(coming(released, "status-0", hours=HOURS)).holds


class TestByHand:
    """Nothing listens where the replicas and MLflow should be."""

    def test_a_hold_begins_ends_and_is_in_the_history(self, releases: Releases, tmp_path: Path) -> None:
        verbs = [
            ("pin", "--to", "2", "--reason", "an incident"),
            ("freeze", "--until", "3d", "--reason", "Christmas"),
            ("unfreeze", "--reason", "it is over"),
        ]
        done = [pipeline(tmp_path, *words) for words in verbs]
        told = pipeline(tmp_path, "history").stdout

        assert [0, 0, 0] == [each.returncode for each in done]
        assert "serving v2, previous v1, pinned v2" == line(done[0])["state"]
        assert "serving v2, previous v1" == line(done[2])["state"]
        assert all(words in told for words in ("v2 pinned", "promotions frozen", "promotions unfrozen", "Christmas"))
        events = [entry.event for entry in releases.history().all()[-3:]]
        assert [Event.PINNED, Event.FROZEN, Event.UNFROZEN] == events

    @pytest.mark.parametrize(
        "words",
        [["pin", "--to", "2"], ["freeze", "--until", "3d"], ["unfreeze"], ["readmit", "--version", "2"]],
        ids=lambda words: words[0],
    )
    def test_a_word_about_a_model_without_a_config_is_refused(self, tmp_path: Path, words: list[str]) -> None:
        done = pipeline(tmp_path, *words, "--reason", "why")

        assert 1 == done.returncode
        assert "nothing was released yet for 'digits' in" in done.stderr
        assert [] == list((tmp_path / "bucket").rglob("*.json"))

    @pytest.mark.parametrize(
        ("told", "words"),
        [
            ("a pin needs a reason", ["pin", "--to", "2"]),
            ("a freeze needs a reason", ["freeze", "--until", "3d"]),
            ("unfreeze needs a reason", ["unfreeze"]),
            ("'soon' is not a date, a time or a duration", ["freeze", "--until", "soon", "--reason", "why"]),
            ("2020-01-01 00:00 UTC has passed", ["freeze", "--until", "2020-01-01", "--reason", "why"]),
            ("v9 has never served", ["pin", "--to", "9", "--reason", "why"]),
        ],
    )
    def test_a_hold_that_cannot_be_changes_nothing(
        self, releases: Releases, tmp_path: Path, told: str, words: list[str]
    ) -> None:
        before = releases.history().seq
        done = pipeline(tmp_path, *words)

        assert 1 == done.returncode
        assert told in done.stderr
        assert before == releases.history().seq
