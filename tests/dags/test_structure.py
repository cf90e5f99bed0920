"""What Airflow makes of the folder of DAGs."""

import re
from typing import Any

import jinja2
import pytest

RETRAIN = {
    "snapshot": ["train"],
    "train": ["evaluate"],
    "evaluate": ["gate"],
    "gate": ["publish"],
    "publish": ["canary"],
    "canary": ["promote", "withdraw"],
    "promote": ["announce", "withdraw"],
    "announce": [],
    "withdraw": [],
}
NAMES = ("ACTOR", "SCHEDULED")
RETAIN: dict[str, list[str]] = {"retain": []}
MANUAL: dict[str, dict[str, list[str]]] = {
    "rollback": {"plan": ["roll_back"], "roll_back": ["announce"], "announce": []},
    "pin": {"pin": ["announce"], "announce": []},
    "freeze": {"freeze": []},
    "unfreeze": {"unfreeze": []},
    "readmit": {"readmit": []},
    "reconcile": {"reconcile": ["announce"], "announce": []},
}
UNUSABLE = {f"{kind}_{name}": name for kind in ("retrain", "retain") for name in ("broken", "my_cats___dogs")}
SHAPES = {
    "retrain_digits": RETRAIN,
    "retrain_letters": RETRAIN,
    "retain_digits": RETAIN,
    "retain_letters": RETAIN,
    "announce": {"broken": [], "digits": [], "letters": []},
    **{dag_id: {"model_file": []} for dag_id in UNUSABLE},
    **MANUAL,
}


def test_the_folder_is_read_without_errors_or_warnings(described: Any) -> None:
    assert described["import_errors"] == {}
    assert described["warnings"] == {}
    assert sorted(described["dags"]) == sorted(SHAPES)


@pytest.mark.parametrize("dag_id", SHAPES)
def test_shape(described: Any, dag_id: str) -> None:
    tasks = described["dags"][dag_id]["tasks"]

    assert SHAPES[dag_id] == {task_id: task["downstream"] for task_id, task in tasks.items()}


@pytest.mark.parametrize("dag_id", SHAPES)
def test_policy_of_every_dag(described: Any, dag_id: str) -> None:
    dag = described["dags"][dag_id]

    assert dag["tags"]
    assert "### What you see, and what to do" in dag["doc_md"]
    assert dag["max_active_runs"] == 1
    assert dag["start_date"] is None
    assert dag["catchup"] is False


@pytest.mark.parametrize("dag_id", SHAPES)
def test_policy_of_every_task(described: Any, dag_id: str) -> None:
    for task_id, task in described["dags"][dag_id]["tasks"].items():
        assert task["owner"] == "understudy", task_id
        assert task["doc_md"], task_id
        assert task["start_date"] is None, task_id
        # What `announce` does within minutes needs no second try, and a wrong file is wrong the second time too.
        once = dag_id in UNUSABLE or dag_id == "announce" or (dag_id in MANUAL and task_id == "announce")
        assert task["retries"] == (0 if once else 1), task_id
        assert task["retry_delay"] >= 60, task_id
        assert task["execution_timeout"], task_id


def test_the_run_key_is_the_only_template_in_a_command(described: Any) -> None:
    """Whatever else is rendered into a command line could be something that a person typed."""
    key = '{{ dag_run.run_after.strftime("%Y%m%d%H%M%S%f") }}\''
    for dag_id, dag in described["dags"].items():
        for task_id, task in dag["tasks"].items():
            if (command := task["command"]) is not None:
                no_run = "announce" in (dag_id, task_id)
                assert command.count("{{") == (0 if no_run else 1)
                assert no_run or key in command
                assert "{%" not in command
                assert task["do_xcom_push"] is False


@pytest.mark.parametrize(("user", "actor", "scheduled"), [(None, "schedule", "true"), ("oncall", "oncall", "false")])
def test_a_verb_is_told_whether_a_person_has_started_it(
    described: Any, user: str | None, actor: str, scheduled: str
) -> None:
    environment = described["dags"]["retrain_digits"]["tasks"]["train"]["environment"]
    run = {"triggering_user_name": user}
    rendered = {name: jinja2.Template(environment[f"UNDERSTUDY_{name}"]).render(dag_run=run) for name in NAMES}

    assert {"ACTOR": actor, "SCHEDULED": scheduled} == rendered


def test_schedules_come_from_the_model_files(described: Any) -> None:
    schedules = {dag_id: dag["schedule"] for dag_id, dag in described["dags"].items()}

    assert schedules == {
        "retrain_digits": "0 3 * * 1",
        "retrain_letters": None,
        "retain_digits": "0 5 * * 1",
        "retain_letters": None,
        "announce": "*/2 * * * *",
        **dict.fromkeys(UNUSABLE),
        **dict.fromkeys(MANUAL),
    }


def test_a_dag_that_is_switched_on_after_its_hour_waits_for_the_next_one(described: Any) -> None:
    """...on the same Monday too, where Airflow would start it at once for most of a day."""
    first = {
        name: described["dags"][name]["first_run_after"] for name in ("retrain_digits", "retain_digits", "announce")
    }

    assert first == {
        "retrain_digits": "2026-12-07T03:00:00+00:00",
        "retain_digits": "2026-12-07T05:00:00+00:00",
        "announce": "2026-11-30T05:02:00+00:00",
    }


def test_nothing_else_shares_a_pool_with_a_retrain(described: Any) -> None:
    pools = {dag_id: {task["pool"] for task in dag["tasks"].values()} for dag_id, dag in described["dags"].items()}

    assert pools == {
        "retrain_digits": {"retrain"},
        "retrain_letters": {"retrain"},
        "retain_digits": {"default_pool"},
        "retain_letters": {"default_pool"},
        "announce": {"default_pool"},
        **{dag_id: {"default_pool"} for dag_id in UNUSABLE},
        **{dag_id: {"default_pool"} for dag_id in MANUAL},
    }


@pytest.mark.parametrize("dag_id", MANUAL)
def test_what_only_people_decide_is_started_by_nothing_else_and_is_ready(described: Any, dag_id: str) -> None:
    dag = described["dags"][dag_id]

    assert sorted(dag["allowed_run_types"]) == ["manual", "operator_triggered"]
    assert dag["starts_paused"] is False


@pytest.mark.parametrize("dag_id", MANUAL)
def test_what_people_decide_comes_before_everything_else(described: Any, dag_id: str) -> None:
    """A retrain's tasks weigh as much as the tasks that follow them: at most ten."""
    tasks = described["dags"][dag_id]["tasks"].values()

    assert {("absolute", 1000)} == {(task["weight_rule"], task["priority"]) for task in tasks}


@pytest.mark.parametrize("dag_id", MANUAL)
def test_where_there_are_several_models_none_is_chosen_beforehand(described: Any, dag_id: str) -> None:
    assert "model" in described["dags"][dag_id]["required"]


def test_the_forms_ask_for_what_the_verbs_need(described: Any) -> None:
    forms = {dag_id: described["dags"][dag_id]["params"] for dag_id in MANUAL}

    assert {
        "rollback": {"model": None, "to": "previous", "hold": "until lifted", "reason": None},
        "pin": {"model": None, "to": None, "reason": None},
        "freeze": {"model": None, "until": None, "reason": None},
        "unfreeze": {"model": None, "reason": None},
        "readmit": {"model": None, "version": None, "reason": None},
        "reconcile": {"model": None},
    } == forms


def test_a_retrain_can_be_triggered_with_its_form_as_it_opens(described: Any) -> None:
    """Airflow asks for a value where the default is neither a value nor allowed to be null."""
    form = described["dags"]["retrain_digits"]

    empty = sorted(name for name, value in form["params"].items() if value in (None, []))
    assert empty == ["accept_labels", "note", "seed"] == form["nullable"]


@pytest.mark.parametrize("dag_id", [dag_id for dag_id, name in UNUSABLE.items() if name == "broken"])
def test_a_model_file_that_cannot_be_used_becomes_a_dag_that_says_why(described: Any, dag_id: str) -> None:
    """And takes no other model's DAGs away; the schedule is one that a person might think of."""
    dag = described["dags"][dag_id]
    told = r"broken\.yaml: line 5: schedule: give a cron expression in UTC, .* \(got 'every day'\)"

    assert re.search(told, dag["description"])
    assert re.search(told, dag["doc_md"])


def test_a_retention_deletes_unless_somebody_only_wants_to_see(described: Any) -> None:
    assert described["dags"]["retain_digits"]["params"] == {"dry_run": False}


def test_withdraw_fires_when_a_parent_failed_and_announce_tells_of_the_release(described: Any) -> None:
    tasks = described["dags"]["retrain_digits"]["tasks"]

    assert tasks["withdraw"]["trigger_rule"] == "one_failed"
    assert tasks["announce"]["inlets"] == ["digits/production"]
    others = {task["trigger_rule"] for task_id, task in tasks.items() if task_id != "withdraw"}
    assert others == {"all_success"}
