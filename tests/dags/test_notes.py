"""The note of a DAG run says what was decided, why and what serves; what a person has typed there stays."""

import re
from typing import Any

import pytest

from dags.tasks.outcomes import outcome as said
from tests.dags.expected import NOTES, PROVEN, note, outcome

# Whoever comes first plays all cases, and Airflow takes its time on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        *NOTES,
        (
            "nasty rollback",
            outcome("roll_back done; v3 serves letters", "`roll_back` done, v3 instead of v4: confuses 3 and 8"),
        ),
        ("announce succeeds later", dict(NOTES)["all good"]),
        (
            "announce fails twice",
            outcome(
                "promote done; announce could not tell; v3 serves digits",
                PROVEN,
                "`publish` done, v4",
                "`canary` done, v4: pass: 2 replicas",
                "`promote` done, v4",
                "`announce` could not tell: the reason of announce",
            ),
        ),
        (
            "announce leaves nothing",
            outcome("announce failed", "`announce` ended without a result. Its log shows what was done"),
        ),
    ],
)
def test_it_says_what_every_verb_has_decided_and_what_serves(played: Any, case: str, expected: str) -> None:
    assert expected == note(played, case)


def test_what_a_person_has_typed_stays_above_the_outcome(played: Any) -> None:
    assert "Only to see whether\nit is *any* better. Ann\n\n" + outcome(
        "gate declined; v3 serves digits", "`gate` declined: the reason of gate"
    ) == note(played, "gate declines")


def test_a_note_that_leaves_no_room_stays_as_it_is(played: Any) -> None:
    """Airflow's notes have 1000 characters."""
    assert "x" * 990 == played["results"]["promote declines"]["note"]


def test_only_a_sentence_that_is_too_long_is_cut(played: Any) -> None:
    cut = note(played, "promote fails")

    assert len(played["results"]["promote fails"]["note"]) <= 1000
    assert "- `promote` failed: the reason of promote and so on and so on" in cut
    assert re.sub("(?: and so on)+.*…", "", cut) == outcome(
        "promote failed; v3 serves digits",
        PROVEN,
        "`publish` done, v4",
        "`canary` done, v4: pass: 2 replicas",
        "`promote` failed: the reason of promote",
        "`withdraw` done, v4: fail: golden answers differ",
    )


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (
            {"outcome": "done", "verdict": "fail: accuracy 0.7 < 0.8", "forced_by": "ann"},
            "`gate` done: fail: accuracy 0.7 < 0.8; overruled by ann",
        ),
        ({"outcome": "could not tell", "reason": "two\n  lines"}, "`gate` could not tell: two lines"),
        ({"outcome": "crashed"}, "`gate` crashed"),
        ({"outcome": "done", "accuracy": 0.9}, None),
    ],
)
def test_one_line_says_how_a_verb_has_ended(result: dict[str, Any], line: str | None) -> None:
    assert line == said("gate", result).get("line")


def test_a_verb_that_has_left_nothing_says_nothing() -> None:
    assert {} == said("gate", {})


def test_a_run_that_ends_again_has_one_outcome_without_what_was_cleared(played: Any) -> None:
    assert "It was the new camera. Bob\n\n" + outcome(
        "canary failed; v3 serves digits", PROVEN, "`publish` done, v4", "`canary` failed: the reason of canary"
    ) == note(played, "canary fails", "note again")


def test_a_database_that_takes_no_note_changes_nothing_of_the_run(played: Any) -> None:
    result = played["results"]["note refused"]

    assert result["note"] is None
    assert "success" == result["run"]
    assert "skipped" == result["tasks"]["gate"]


def test_others_that_write_at_the_same_time_keep_no_note_away(played: Any) -> None:
    assert outcome("gate declined; v3 serves digits", "`gate` declined: the reason of gate") == note(
        played, "note in a busy database"
    )


def test_the_note_of_the_dag_announce_names_each_model_whose_changes_were_not_announced(played: Any) -> None:
    found = note(played, "the DAG announce fails")

    assert "- `digits` could not tell: the reason of announce" in found
    assert "- `letters` could not tell: the reason of announce" in found


def test_runs_in_which_nothing_is_decided_get_no_note(played: Any) -> None:
    assert played["results"]["announce"]["note"] is None
