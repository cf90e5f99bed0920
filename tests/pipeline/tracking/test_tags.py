"""The description of a run, made of its tags."""

from pathlib import Path

from pipeline.journal import state as transitions
from pipeline.journal.entries import Change, Event
from pipeline.tracking.tags import NOTE, describe, gate_tags, refusal_tags, run_tags, with_note
from pipeline.verdicts.verdict import Decision, Verdict
from tests.pipeline.journal.test_journal import Releases

REASONS = ("calibration error 0.209 > 0.2 (gate.max_calibration_error)", "recall of class 'a*b' 0.1 < 0.2")
DECLINED = Verdict(decision=Decision.FAIL, reasons=REASONS)


def test_it_says_what_became_of_the_run_why_where_it_is_shown_and_who_asked_for_it() -> None:
    tags = gate_tags(DECLINED) | refusal_tags("declined by the gate", str(DECLINED))
    tags |= {"requested_by": "ann", "note": "more owls", "airflow_run": "http://127.0.0.1:8080/dags/r/runs/1"}

    status, link, asked, gate = describe(tags).split("\n\n")

    assert status.startswith("Declined by the gate, and nothing was published: fail: calibration error 0.209 > 0.2 ")
    assert gate.startswith("Gate: declined. calibration error 0.209")
    assert "recall of class 'a\\*b' 0.1 < 0.2" in gate
    assert "[The DAG run in Airflow](http://127.0.0.1:8080/dags/r/runs/1)" == link
    assert "Requested by ann. more owls" == asked


def test_mlflow_can_keep_it_however_many_reasons_there_are() -> None:
    many = Verdict(decision=Decision.FAIL, reasons=tuple(f"replica {number} \0 <b>{'x' * 90}" for number in range(500)))
    tags = gate_tags(many) | refusal_tags("declined by the gate", str(many)) | {"note": "n" * 4000}
    tags |= {"canary": "failed", "canary_reasons": "*" * 2000}

    made = with_note({}, tags)

    assert max(map(len, made.values())) < 8000
    assert "<b>" not in made[NOTE]
    assert "\0" not in "".join(made.values())


def test_only_what_differs_is_set_again() -> None:
    first = with_note({}, {"decision": "published", "status": "v1 is published, and has not served."})

    assert {} == with_note(first, {"decision": "published", "status": "v1 is published, and has not served."})
    assert {"status", NOTE} == set(with_note(first, {"decision": "published", "status": "v1 serves."}))


def test_a_candidate_that_was_declined_because_a_server_ended_on_it_has_the_verdict_of_the_canary(
    tmp_path: Path,
) -> None:
    releases = Releases(tmp_path)
    version = releases.publish("retrain-1")
    releases.expose("retrain-1", version)
    ended = Verdict(decision=Decision.FAIL, reasons=("10.0.0.1:8500: its server process has stopped once",))
    history = releases.journal("retrain-1").decide(
        lambda h: Change(Event.DECLINED, version, str(ended), transitions.withdraw(h.state, version), ended)
    )

    tags = run_tags(history, version)

    assert ("failed", ended.reasons[0]) == (tags["canary"], tags["canary_reasons"])
    assert tags["status"].startswith("v1 was declined on ")
