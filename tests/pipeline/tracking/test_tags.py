"""The description of a run, made of its tags."""

from pipeline.tracking.tags import NOTE, describe, gate_tags, refusal_tags, with_note
from pipeline.verdicts.verdict import Decision, Verdict

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
