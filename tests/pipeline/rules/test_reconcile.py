"""The rules of `reconcile` on the journal alone: when a run is taken to be gone, and what is said in its place."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import run as run_rules
from pipeline.rules.reconcile import Deadline
from pipeline.rules.rollback import next_step
from pipeline.verdicts.verdict import Decision, Verdict
from tests.pipeline.journal.test_journal import Releases, half_promoted

FAIL = Verdict(decision=Decision.FAIL, reasons=("bad",))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def after(history: History, seconds: float) -> Deadline:
    """An hour is granted; so many seconds have passed since the last entry."""
    return Deadline(history.all()[-1].at + timedelta(seconds=seconds), 3600)


@pytest.mark.parametrize(("passed", "seconds"), [(False, -86400), (False, 0), (False, 3600), (True, 3601)])
def test_a_clock_that_is_behind_ends_nothing(releases: Releases, passed: bool, seconds: float) -> None:
    releases.release("retrain-1")
    history = releases.history()

    assert passed == after(history, seconds).has_passed(history.all()[-1])


@pytest.mark.parametrize(
    ("proven", "verdict", "withdrawn"),
    [(True, None, False), (True, FAIL, True), (False, None, True), (False, FAIL, True)],
)
def test_a_candidate_goes_unless_its_last_verdict_was_good(
    releases: Releases,
    proven: bool,
    verdict: Verdict | None,
    withdrawn: bool,
) -> None:
    releases.release("retrain-1")
    history = releases.expose("retrain-2", releases.publish("retrain-2"))

    def change(seconds: float) -> Event | None:
        made = reconcile_rules.withdraw_unproven(
            history, version=2, proven=proven, verdict=verdict, deadline=after(history, seconds)
        )
        return made.event if made else None

    assert change(3600) is None
    assert change(3601) is (Event.WITHDRAWN if withdrawn else None)


def test_what_was_read_about_one_candidate_says_nothing_about_another(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.expose("retrain-2", releases.publish("retrain-2"))
    history = releases.expose("retrain-3", releases.publish("retrain-3"))

    assert 3 == history.state.candidate
    assert (
        reconcile_rules.withdraw_unproven(history, version=2, proven=False, verdict=FAIL, deadline=after(history, 9999))
        is None
    )


def test_what_was_promoted_meanwhile_is_no_candidate_any_more(releases: Releases) -> None:
    """Also the first release, which could be taken back to nothing."""
    history = releases.promote("retrain-1", half_promoted(releases, "retrain-1"))

    assert (
        reconcile_rules.withdraw_unproven(history, version=1, proven=False, verdict=FAIL, deadline=after(history, 9999))
        is None
    )


def test_a_move_is_finished_only_while_it_is_the_last(releases: Releases) -> None:
    """Replicas were asked about one roll-back; what they said says nothing about the next to the same version."""
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    request = releases.request("rollback-4", "2")
    history = releases.journal("rollback-4").decide(lambda h: next_step(h, request=request, target=2, loaded=True))
    move = reconcile_rules.unconfirmed_move(history)
    assert move is not None
    finished = reconcile_rules.finish_move(history, move=move)
    assert finished is not None
    assert (Event.WITHDRAWN, 3) == (finished.event, finished.version)
    releases.roll_back(3, "rollback-5")
    request = releases.request("rollback-6", "2")
    again = releases.journal("rollback-6").decide(lambda h: next_step(h, request=request, target=2, loaded=True))

    assert 2 == again.state.serving
    assert reconcile_rules.finish_move(again, move=move) is None


def test_after_a_release_or_a_roll_back_nothing_is_unconfirmed(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    assert reconcile_rules.unconfirmed_move(releases.history()) is None
    releases.roll_back(1, "rollback-3")

    assert reconcile_rules.unconfirmed_move(releases.history()) is None


def test_a_promotion_is_taken_back_in_the_name_of_the_run_that_made_it_whoever_began(releases: Releases) -> None:
    releases.release("retrain-1")
    half_promoted(releases, "retrain-2")
    assert "retrain-2" == reconcile_rules.stopped_promotion(releases.history())
    history = releases.journal("reconcile-3").decide(
        lambda h: run_rules.undo_promotion(h, version=2, run_key="retrain-2", reason="late")
    )

    assert 2 == history.state.leaving
    assert "retrain-2" == reconcile_rules.stopped_promotion(history)


def test_what_a_person_decided_is_taken_back_by_nobody(releases: Releases) -> None:
    releases.release("retrain-1")
    half_promoted(releases, "retrain-2")
    request = releases.request("rollback-3", "1")
    history = releases.journal("rollback-3").decide(lambda h: next_step(h, request=request, target=1, loaded=True))

    assert reconcile_rules.unconfirmed_move(history) is not None
    assert reconcile_rules.stopped_promotion(history) is None


def test_the_seat_is_a_roll_back_s_or_a_run_s(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    request = releases.request("rollback-4", "1")
    history = releases.journal("rollback-4").decide(lambda h: next_step(h, request=request, target=1, loaded=False))
    released = reconcile_rules.release_target(history, deadline=after(history, 9999))

    assert reconcile_rules.candidate_of_run(history) is None
    assert reconcile_rules.release_target(history, deadline=after(history, 0)) is None
    assert released is not None
    assert (Event.RELEASED, 1) == (released.event, released.version)
