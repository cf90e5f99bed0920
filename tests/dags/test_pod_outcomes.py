"""How a run ends for every way a step can end where steps are pods: as with local processes.

The pods go through Airflow's operator, its trigger and the real clients to the double of Kubernetes, which runs the
fake pipeline that stands for the verbs in test_outcomes.py, too.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.dags.expected import LAST_LINES, NOTES, OUTCOMES, note, said_last

# The first test plays all cases, and Airflow takes its time on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("case", "run", "tasks"), OUTCOMES)
def test_a_run_ends_as_with_local_steps(played_in_pods: Any, case: str, run: str, tasks: dict[str, str]) -> None:
    result = played_in_pods["results"][case]

    assert tasks == result["tasks"]
    assert run == result["run"]


@pytest.mark.parametrize(("case", "said"), LAST_LINES)
def test_the_last_lines_are_those_of_local_steps(played_in_pods: Any, case: str, said: list[str]) -> None:
    assert said == said_last(played_in_pods, case)


@pytest.mark.parametrize(("case", "expected"), NOTES)
def test_the_note_of_a_run_is_that_of_local_steps(played_in_pods: Any, case: str, expected: str) -> None:
    assert expected == note(played_in_pods, case)


@pytest.mark.parametrize(
    "case", ["train fails", "publish fails", "canary fails", "canary cannot tell", "promote fails"]
)
def test_a_failed_verb_is_not_tried_again(played_in_pods: Any, case: str) -> None:
    verbs = [call["verb"] for call in played_in_pods["calls"] if call["case"] == case]

    assert len(verbs) == len(set(verbs))


def test_free_text_reaches_the_verb_unchanged(played_in_pods: Any) -> None:
    """Also where it looks like a reference to a variable, which Kubernetes would replace."""
    nasty = played_in_pods["nasty"]
    calls = [call for call in played_in_pods["calls"] if call["case"] == "nasty retrain" and call["verb"] != "announce"]
    params = [{name: call["params"][name] for name in ("note", "force", "accept_labels")} for call in calls]

    assert "$(UNDERSTUDY_ROOT) $$ $$(UNDERSTUDY_ROOT)" in nasty
    assert [{"note": nasty, "force": True, "accept_labels": [nasty]}] * 7 == params
    assert not any((Path(call["cwd"]) / "hacked").exists() for call in calls)


def test_a_deferred_run_ends_as_one_whose_verbs_take_no_time(played_in_pods: Any) -> None:
    assert played_in_pods["results"]["all good"]["tasks"] == played_in_pods["results"]["nasty retrain"]["tasks"]


def test_a_verb_is_told_who_runs_it_and_where(played_in_pods: Any) -> None:
    calls = [call for call in played_in_pods["calls"] if call["case"] == "all good"]

    assert {("dag_test", "false", "digits")} == {(call["actor"], call["scheduled"], call["model"]) for call in calls}
    (url,) = {call["run_url"] for call in calls}
    assert url.startswith("http://127.0.0.1:8080/airflow/dags/retrain_digits/runs/")


def test_a_secret_that_the_file_names_reaches_the_verb(played_in_pods: Any) -> None:
    assert {played_in_pods["secret"]} == {call["secret"] for call in played_in_pods["calls"]}


def test_a_release_is_announced(played_in_pods: Any) -> None:
    of_digits = [each["extra"]["entry"] for each in played_in_pods["announced"] if "digits" in each["asset"]]

    assert [1, 2] == of_digits


def test_more_changes_than_a_result_can_hold_are_announced_by_the_next_run(played_in_pods: Any) -> None:
    """The termination message of a container has 4096 bytes."""
    events = [each["extra"]["entry"] for each in played_in_pods["announced"] if "letters" in each["asset"]]
    calls = {
        call["case"]: call["params"]["announced"] for call in played_in_pods["calls"] if call["model"] == "letters"
    }

    assert list(range(1, 47)) == events
    assert 1 == len(calls["announce many"])
    assert 1 < len(calls["announce the rest"]) < 46


def test_an_announcement_without_a_result_is_red(played_in_pods: Any) -> None:
    """Also where the pod has ended before its task was deferred."""
    assert {"failed"} == set(played_in_pods["results"]["announce leaves nothing"]["tasks"].values())


def test_no_pod_is_left(played_in_pods: Any) -> None:
    assert [] == played_in_pods["left"]
