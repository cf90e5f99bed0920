"""Runs DAGs through Airflow itself, one case after the other; prints as JSON how each run and each task ended."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException

from dags.steps import VerbOperator

# `withdraw` declines (99) when nothing of the run is on a replica.
CASES: dict[str, dict[str, int]] = {
    "all good": {},
    "gate declines": {"gate": 99},
    "train fails": {"train": 1, "withdraw": 99},
    "publish fails": {"publish": 1, "withdraw": 99},
    "canary fails": {"canary": 1},
    "canary cannot tell": {"canary": 75},
    "promote fails": {"promote": 1},
    "promote declines": {"promote": 99},
}

NASTY = (
    'it\'s "quoted" $(touch hacked) `touch hacked` ; touch hacked & | > hacked \\ {{ 7 * 7 }} {% raw %} %s\n'
    "second line, ünïcode \u2013 \u65e5\u672c \U0001f600 </script> \u2028 end \\"
)


def play(dag: Any, case: str, codes: dict[str, int], *, number: int, form: dict[str, Any]) -> dict[str, Any]:
    os.environ["FAKE_CASE"] = case
    os.environ["FAKE_EXIT_CODES"] = json.dumps(codes)
    moment = datetime(2026, 1, 2, 3, 4, 5, number, tzinfo=UTC)
    run = dag.test(run_after=moment, logical_date=moment, run_conf=form)
    tasks = {each.task_id: each for each in run.get_task_instances()}
    return {
        "run": str(run.state),
        "tasks": {task_id: str(each.state) for task_id, each in tasks.items()},
        "tries": {task_id: each.try_number for task_id, each in tasks.items()},
    }


def ending(command: str) -> str:
    """The name of the exception with which the operator ends a command, or nothing."""
    try:
        VerbOperator(task_id="one", bash_command=command).execute({})
    except AirflowException as error:
        return type(error).__name__
    return ""


bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
retrain = bag.dags["retrain_digits"]
results = {
    case: play(retrain, case, codes, number=number, form={}) for number, (case, codes) in enumerate(CASES.items(), 1)
}
form = {"epochs": 3, "seed": 5, "note": NASTY, "force": True, "accept_labels": [NASTY, "a, b"]}
results["nasty retrain"] = play(retrain, "nasty retrain", {}, number=100, form=form)
form = {"model": "letters", "to": "6", "reason": NASTY}
results["nasty rollback"] = play(bag.dags["rollback"], "nasty rollback", {}, number=101, form=form)
results["dry retention"] = play(bag.dags["retain_letters"], "dry retention", {}, number=102, form={"dry_run": True})
calls = [json.loads(line) for line in Path(os.environ["FAKE_CALLS"]).read_text(encoding="utf-8").splitlines()]
endings = {command: ending(command) for command in ("exit 0", "exit 99", "exit 1", "exit 75", "kill -9 $$")}
print(json.dumps({"results": results, "calls": calls, "nasty": NASTY, "endings": endings}))  # noqa: T201 - the test reads it
