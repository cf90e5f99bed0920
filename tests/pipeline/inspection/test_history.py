"""What served when, from the journal alone: the periods, and how they are shown."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.inspection.history import tables
from pipeline.inspection.history_page import Selection, page_of
from pipeline.journal.entries import Event
from pipeline.journal.periods import served
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import next_step
from pipeline.verdicts.verdict import Decision, Verdict
from tests.pipeline.journal.test_journal import PASS, Releases
from tests.pipeline.test_cli import pipeline
from tests.releases import World


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "bucket")


def shown(releases: Releases, width: int) -> list[str]:
    told = io.StringIO()
    console = Console(file=told, width=width)
    for part in tables(page_of("digits", releases.history(), Selection(last=None))):
        console.print(part)
    return told.getvalue().splitlines()


def half_promoted(releases: Releases, run_key: str) -> int:
    version = releases.publish(run_key)
    releases.expose(run_key, version)
    releases.promote(run_key, version)
    return version


def test_before_the_first_release_nothing_has_served(releases: Releases) -> None:
    releases.publish("retrain-1")

    assert [] == list(served(releases.history()))[::-1]


def test_each_period_ends_where_the_next_begins(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    releases.publish("retrain-3")
    first, second = list(served(releases.history()))[::-1]

    assert (1, 2) == (first.version, second.version)
    assert first.until == second.since
    assert second.until is None


def test_a_promotion_says_who_why_on_what_verdict_and_when_every_replica_had_followed(releases: Releases) -> None:
    releases.release("retrain-1")
    (period,) = list(served(releases.history()))[::-1]
    promoted, confirmed = releases.history().all()[-2:]

    assert (Event.PROMOTED, "ann", "retrain-1") == (period.event, period.actor, period.run_key)
    assert ("proven on every replica", str(PASS)) == (period.reason, period.verdict)
    assert (promoted.at, confirmed.at) == (period.since, period.confirmed)


def test_a_roll_back_is_a_period_of_its_own(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    releases.roll_back(1, "rollback-3")
    *_, last = list(served(releases.history()))[::-1]

    assert (1, Event.ROLLED_BACK, "bad", None) == (last.version, last.event, last.reason, last.verdict)
    assert releases.history().all()[-1].at == last.confirmed


def test_a_roll_back_that_reconcile_has_finished_is_confirmed(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    request = releases.request("rollback-3", "1")
    history = releases.journal("rollback-3").decide(lambda h: next_step(h, request=request, target=1, loaded=True))
    move = reconcile_rules.unconfirmed_move(history)
    assert move is not None
    for _ in range(2):
        releases.journal("reconcile-4").decide(lambda h: reconcile_rules.finish_move(h, move=move))

    assert releases.history().all()[-1].at == list(served(releases.history()))[::-1][-1].confirmed


def test_what_a_newer_roll_back_does_not_wait_for_is_not_confirmed(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    request = releases.request("rollback-4", "2")
    releases.journal("rollback-4").decide(lambda h: next_step(h, request=request, target=2, loaded=True))
    releases.roll_back(1, "rollback-5")
    *_, cut_off, last = list(served(releases.history()))[::-1]

    assert (2, None) == (cut_off.version, cut_off.confirmed)
    assert (1, True) == (last.version, last.confirmed is not None)


def test_a_first_release_that_is_taken_back_leaves_nothing_serving(releases: Releases) -> None:
    version = half_promoted(releases, "retrain-1")
    releases.journal("retrain-1").decide(
        lambda h: run_rules.withdraw(h, version=version, run_key="retrain-1", reason="late", verdict=None)
    )
    half_promoted(releases, "retrain-2")
    first, second = list(served(releases.history()))[::-1]

    assert releases.history().withdrawal(1) is not None
    assert first.until is not None
    assert first.until < second.since
    assert first.confirmed is None


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_tables_are_legible_on_any_terminal(releases: Releases, width: int) -> None:
    """Long texts end in an ellipsis; versions, moments and who are whole."""
    for number in range(12):
        releases.release(f"retrain-{number}")
    fail = Verdict(decision=Decision.FAIL, reasons=tuple(f"replica {n}: golden answers differ " * 5 for n in range(9)))
    version = releases.publish("retrain-99")
    releases.expose("retrain-99", version)
    releases.journal("retrain-99").decide(
        lambda h: run_rules.withdraw(h, version=version, run_key="retrain-99", reason=str(fail), verdict=fail)
    )
    releases.roll_back(11, "rollback-100")
    lines = shown(releases, width)
    first = list(served(releases.history()))[::-1][0]

    assert width >= max(len(line) for line in lines)
    assert any("│ v1 promoted " in line for line in lines)
    assert any(f"v1      │ {first.since:%Y-%m-%d %H:%M:%S}" in line for line in lines)
    assert any("to now" in line for line in lines)
    (withdrawn,) = (line for line in lines if "v13 withdrawn" in line)
    assert withdrawn.rstrip().endswith("…")


def test_what_a_person_typed_is_shown_and_does_nothing(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.journal("retrain-2").decide(
        lambda h: run_rules.claim(
            h, run_key="retrain-2", compared_with=1, reason="[red]so\n\x1b[31mbe it", verdict=PASS
        )
    )

    assert any("[red]so [31mbe it" in line for line in shown(releases, 120))


def test_programs_get_it_from_the_bucket_alone_the_newest_first(releases: Releases, tmp_path: Path) -> None:
    """Nothing listens where the replicas and MLflow should be."""
    releases.release("retrain-1")
    releases.release("retrain-2")
    done = pipeline(tmp_path, "history", "--json")
    found = json.loads(done.stdout)

    assert 0 == done.returncode
    assert ["entries", "model", "next", "older", "served"] == sorted(found)
    assert ["confirmed", "promoted", "exposed", "published", "claimed"] == [e["event"] for e in found["entries"][:5]]
    assert [(2, True), (1, False)] == [(period["version"], period["until"] is None) for period in found["served"]]
    names = ["actor", "confirmed", "event", "from", "reason", "run_key", "until", "verdict", "version"]
    assert names == sorted(found["served"][0])
    assert (0, None) == (found["older"], found["next"])


def test_no_decisions_at_all_are_not_asked_for(releases: Releases, tmp_path: Path) -> None:
    releases.release("retrain-1")
    done = pipeline(tmp_path, "history", "--last", "0")

    assert 2 == done.returncode
    assert "Traceback" not in done.stderr


def test_people_get_both_tables(releases: Releases, tmp_path: Path) -> None:
    releases.release("retrain-1")
    done = pipeline(tmp_path, "history", COLUMNS="100")

    assert 0 == done.returncode
    assert "What served as digits (UTC)" in done.stdout
    assert "Decisions (UTC)" in done.stdout


def test_the_note_of_a_run_is_in_the_history(world: World) -> None:
    """What a person has typed into the form of a retrain."""
    world.note = "with the pictures of the new camera"
    world.release("retrain-1")
    world.note = ""
    world.release("retrain-2")
    claims = [entry.reason for entry in world.history().all() if entry.event is Event.CLAIMED]

    assert [
        "approved by the gate; ann has noted: with the pictures of the new camera",
        "approved by the gate",
    ] == claims


def test_where_a_candidate_was_exposed_is_said(releases: Releases) -> None:
    version = releases.publish("retrain-1")
    journal = releases.journal("retrain-1")
    journal.decide(lambda h: run_rules.expose(h, version=version, compared_with=None, first_ring_only=True))
    journal.decide(lambda h: run_rules.expose_everywhere(h, version=version, compared_with=None, verdict=PASS))
    first, then = (entry for entry in releases.history().all()[-2:])
    text = " ".join(" ".join(shown(releases, 200)).split())

    assert ("v1 exposed to the first ring", "v1 exposed everywhere") == (first.description, then.description)
    assert "candidate v1 (first ring only)" in text
    assert "proven in the first ring" in text
