"""How a run ends for every way a step can end, played through Airflow itself with faked exit codes."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.dags.expected import LAST_LINES, OUTCOMES, said_last

# The first case plays all of them, and Airflow takes its time on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("case", "run", "tasks"), OUTCOMES)
def test_outcome(played: Any, case: str, run: str, tasks: dict[str, str]) -> None:
    result = played["results"][case]

    assert tasks == result["tasks"]
    assert run == result["run"]


@pytest.mark.parametrize("case", ["train fails", "publish fails", "canary fails", "promote fails"])
def test_withdraw_is_asked_after_every_failure(played: Any, case: str) -> None:
    assert "withdraw" in [call["verb"] for call in played["calls"] if call["case"] == case]


@pytest.mark.parametrize("case", ["all good", "gate declines", "promote declines", "snapshot declines"])
def test_withdraw_is_not_asked_when_nothing_failed(played: Any, case: str) -> None:
    assert "withdraw" not in [call["verb"] for call in played["calls"] if call["case"] == case]


@pytest.mark.parametrize(
    "case", ["train fails", "publish fails", "canary fails", "canary cannot tell", "promote fails"]
)
def test_a_failed_verb_is_not_tried_again(played: Any, case: str) -> None:
    """It has tried by itself what might have passed; Airflow's retry is for workers that vanish."""
    verbs = [call["verb"] for call in played["calls"] if call["case"] == case]

    assert len(verbs) == len(set(verbs))


@pytest.mark.parametrize(("case", "said"), LAST_LINES)
def test_the_last_lines_of_a_log_say_what_happened_what_serves_and_what_to_do(
    played: Any, case: str, said: list[str]
) -> None:
    """They come after the exception that Airflow logs by itself, and after the end of the group that it folds away."""
    assert said == said_last(played, case)
    assert played["results"][case]["said"][:1] in ([], ["::endgroup::"])


def test_every_verb_of_a_run_gets_the_same_key(played: Any) -> None:
    """All but `announce`, which is not part of a run: what came before it is announced as well."""
    calls = [call for call in played["calls"] if call["case"] == "all good"]
    words = {tuple(call["words"]) for call in calls if call["verb"] != "announce"}

    assert words == {("--run", "retrain-20260102030405000001", "--model", "digits")}


def test_free_text_reaches_the_verb_unchanged_and_no_command(played: Any) -> None:
    calls = [call for call in played["calls"] if call["verb"] != "announce"]
    retrain = [call for call in calls if call["case"] == "nasty retrain"]
    rollback = [call for call in calls if call["case"] == "nasty rollback"]

    nasty = played["nasty"]
    form = {"epochs": 3, "seed": 5, "learning_rate": 0.002, "note": nasty, "force": True}
    form["accept_labels"] = [nasty, "a, b"]
    assert [form] * 7 == [call["params"] for call in retrain]
    form = {"model": "letters", "to": "v6", "hold": "24h", "reason": played["nasty"]}
    assert [form] * 2 == [call["params"] for call in rollback]
    key = "rollback-20260102030405000101"
    assert [["--run", key, "--plan"], ["--run", key]] == [call["words"] for call in rollback]
    assert {"letters"} == {call["model"] for call in rollback}
    assert not any((Path(call["cwd"]) / "hacked").exists() for call in retrain + rollback)


@pytest.mark.parametrize(
    ("dag_id", "kind", "form"),
    [
        ("pin", "rollback", {"to": "v6"}),
        ("freeze", "freeze", {"until": "12h"}),
        ("unfreeze", "unfreeze", {}),
        ("readmit", "readmit", {"version": "6"}),
    ],
)
def test_what_a_person_decides_reaches_its_verb_unchanged(
    played: Any, dag_id: str, kind: str, form: dict[str, str]
) -> None:
    (call,) = (call for call in played["calls"] if call["case"] == f"nasty {dag_id}" and call["verb"] != "announce")

    assert "success" == played["results"][f"nasty {dag_id}"]["run"]
    assert (dag_id, "letters") == (call["verb"], call["model"])
    assert call["words"][0] == "--run"
    assert call["words"][1].startswith(f"{kind}-2026010203040500012")
    assert form | {"model": "letters", "reason": played["nasty"]} == call["params"]


def test_every_verb_is_told_where_airflow_shows_its_run(played: Any) -> None:
    urls = {call["run_url"] for call in played["calls"] if call["case"] == "all good"}

    (url,) = urls
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/airflow/dags/retrain_digits/runs/[A-Za-z0-9_.%-]+", url)


def test_a_run_that_a_person_has_triggered_is_not_called_scheduled(played: Any) -> None:
    assert {"false"} == {call["scheduled"] for call in played["calls"]}


def test_each_change_of_what_serves_is_announced_once_with_its_journal_entry(played: Any) -> None:
    """The first two changes of letters were made when nobody listened, so that only the second is announced."""
    announced = [
        (each["asset"], each["by"], each["extra"]["entry"], each["extra"]["version"]) for each in played["announced"]
    ]

    assert [
        ("digits/production", "retrain_digits", 1, 1),
        ("digits/production", "retrain_digits", 2, 2),
        ("letters/production", "announce", 2, 2),
        ("letters/production", "announce", 3, 3),
        ("letters/production", "announce", 4, 4),
        ("letters/production", "rollback", 5, 5),
        ("letters/production", "rollback", 6, 6),
        ("digits/production", "reconcile", 3, 3),
        ("digits/production", "retrain_digits", 4, 4),
    ] == announced
    assert {"ann"} == {each["extra"]["by"] for each in played["announced"]}


def test_announce_is_told_what_was_announced(played: Any) -> None:
    """And nothing else: no words, and nothing of what a person has typed into a form."""
    extras = [each["extra"] for each in played["announced"] if each["asset"] == "letters/production"]
    calls = [call for call in played["calls"] if (call["verb"], call["model"]) == ("announce", "letters")]
    told = {call["case"]: call["params"]["announced"] for call in calls}
    grace = {call["case"]: call["params"]["grace_seconds"] for call in calls}

    assert [] == told["announce"]
    assert extras[:1] == told["announce two"]
    assert extras[0] == told["nasty rollback"][-1], "the newest come first"
    assert extras[:3] == sorted(told["nasty rollback"], key=lambda extra: extra["entry"])
    assert (60, 0) == (grace["announce"], grace["nasty rollback"])
    assert all({"announced", "grace_seconds"} == set(call["params"]) and not call["words"] for call in calls)


def test_an_announcement_that_fails_is_red_says_why_and_is_made_up_for(played: Any) -> None:
    """The roll-back itself went well, and so its note says."""
    result = played["results"]["announce fails"]

    assert {"plan": "success", "roll_back": "success", "announce": "failed"} == result["tasks"]
    assert [
        "What happened: `announce` could not tell: the reason of announce",
        "What serves digits: v3",
        "What to do: Correct the cause. The DAG `announce` then announces what is missing; this task need not be "
        "cleared.",
    ] == said_last(played, "announce fails")
    assert "**Outcome: roll_back done; announce could not tell; v3 serves digits**" in result["note"]
    assert "- `announce` could not tell: the reason of announce" in result["note"]


@pytest.mark.parametrize(
    ("case", "state", "run"),
    [("announce succeeds later", "success", "success"), ("announce fails twice", "failed", "failed")],
)
def test_the_announcement_of_a_release_is_tried_again_once(played: Any, case: str, state: str, run: str) -> None:
    """A bucket that is away for seconds must not make a good release red."""
    result = played["results"][case]
    calls = [call for call in played["calls"] if (call["case"], call["verb"]) == (case, "announce")]

    assert 2 == len(calls)
    assert (state, run) == (result["tasks"]["announce"], result["run"])
    assert "success" == result["tasks"]["promote"]
    assert "skipped" == result["tasks"]["withdraw"]


def test_an_announcement_without_a_result_is_red(played: Any) -> None:
    assert "failed" == played["results"]["announce leaves nothing"]["tasks"]["announce"]


def test_a_verb_that_takes_too_long_is_ended_and_the_last_lines_say_so(played: Any) -> None:
    assert "failed" == played["results"]["takes too long"]["tasks"]["retain"]
    happened, todo = said_last(played, "takes too long")
    assert (
        "What happened: `retain` ended without an answer (it took longer than its task may, see execution_timeout in "
        "the details of the task). The lines above show how far it got."
    ) == happened
    assert "up for retry" in todo


def test_a_retention_is_told_its_model_and_what_the_form_says(played: Any) -> None:
    (call,) = (call for call in played["calls"] if call["case"] == "dry retention")

    assert "success" == played["results"]["dry retention"]["run"]
    assert ["--run", "retain-20260102030405000102", "--model", "letters"] == call["words"]
    assert {"dry_run": True} == call["params"]


def test_every_verb_is_told_who_triggered_the_run(played: Any) -> None:
    """`dag_test` is the name under which Airflow's own test runner triggers."""
    assert {"dag_test"} == {call["actor"] for call in played["calls"]}


def test_only_a_verb_that_gave_no_answer_may_be_tried_again(played: Any) -> None:
    """Airflow retries after AirflowException, never after AirflowFailException or AirflowSkipException."""
    assert {
        "exit 0": "",
        "exit 99": "AirflowSkipException",
        "exit 1": "AirflowFailException",
        "exit 75": "AirflowFailException",
        "kill -9 $$": "AirflowException",
    } == played["endings"]
