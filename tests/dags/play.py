"""Runs DAGs through Airflow itself, one case after the other; prints as JSON how each run and each task ended."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException

from dags.tasks.local import VerbOperator
from tests.dags.moving import make_serve
from tests.dags.noting import busy, end_again, read_note, refused
from tests.dags.playing import CASES, NASTY, announced, be_brief, play


def ending(command: str) -> str:
    """The name of the exception with which the operator ends a command, or nothing."""
    try:
        task = VerbOperator(task_id="one", verb="train", words=(), environment={})
        task.bash_command = command
        task.execute({})
    except AirflowException as error:
        return type(error).__name__
    return ""


be_brief()
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
retrain = bag.dags["retrain_digits"]
results = {
    case: play(retrain, case, codes, number=number, form={}) for number, (case, codes) in enumerate(CASES.items(), 1)
}
# A person adds to the note, clears a task, and the run ends again.
again = results["canary fails"]["id"]
end_again(again, "retrain_digits", cleared="withdraw", add="\n\nIt was the new camera. Bob")
results["canary fails"]["note again"] = read_note(again, "retrain_digits")
with refused():
    results["note refused"] = play(retrain, "note refused", {"gate": 99}, number=99, form={})
with busy():
    results["note in a busy database"] = play(retrain, "note in a busy database", {"gate": 99}, number=98, form={})
form = {"epochs": 3, "seed": 5, "note": NASTY, "force": True, "accept_labels": [NASTY, "a, b"]}
results["nasty retrain"] = play(retrain, "nasty retrain", {}, number=100, form=form)
results["dry retention"] = play(bag.dags["retain_letters"], "dry retention", {}, number=102, form={"dry_run": True})

# What serves changes by hand, and the DAG `announce` comes by; then a roll-back through Airflow.
announce = bag.dags["announce"]
for minutes_ago in (30, 20):  # before anybody listened: only the newest is of interest
    make_serve("letters", run_key="rollback-1", minutes_ago=minutes_ago)
results["announce"] = play(announce, "announce", {}, number=110, form={})
make_serve("letters", run_key="rollback-2", minutes_ago=10)
make_serve("letters", run_key="rollback-3", minutes_ago=9)
results["announce two"] = play(announce, "announce two", {}, number=111, form={})
make_serve("letters", run_key="rollback-4")  # too young: somebody may be about to announce it
results["announce none"] = play(announce, "announce none", {}, number=112, form={})
form = {"model": "letters", "to": "v6", "hold": "24h", "reason": NASTY}
results["nasty rollback"] = play(bag.dags["rollback"], "nasty rollback", {}, number=101, form=form)
FORMS: dict[str, dict[str, Any]] = {
    "pin": {"to": "v6"},
    "freeze": {"until": "12h"},
    "unfreeze": {},
    "readmit": {"version": "6"},
}
for number, (dag_id, form) in enumerate(FORMS.items(), 120):
    asked = form | {"model": "letters", "reason": NASTY}
    results[f"nasty {dag_id}"] = play(bag.dags[dag_id], f"nasty {dag_id}", {}, number=number, form=asked)
results["reconcile"] = play(bag.dags["reconcile"], "reconcile", {}, number=130, form={"model": "letters"})
results["announce fails"] = play(
    bag.dags["rollback"], "announce fails", {"announce": 75}, number=132, form={"model": "digits", "reason": "why"}
)
results["announce leaves nothing"] = play(
    bag.dags["reconcile"], "announce leaves nothing", {}, number=133, form={"model": "digits"}
)
results["announced after all"] = play(
    bag.dags["reconcile"], "announced after all", {}, number=134, form={"model": "digits"}
)
# The bucket is away for a moment, and for longer; in a real run there is a minute between two tries.
retrain.get_task("announce").retry_delay = timedelta(seconds=0)
AWAY = {"announce succeeds later": [75, 0], "announce fails twice": [1, 75]}
for number, (case, tries) in enumerate(AWAY.items(), 135):
    results[case] = play(retrain, case, {"announce": tries}, number=number, form={})
results["the DAG announce fails"] = play(announce, "the DAG announce fails", {"announce": 75}, number=137, form={})
results["announce at last"] = play(announce, "announce at last", {}, number=131, form={})
retain = bag.dags["retain_letters"]
(task,) = retain.tasks
task.execution_timeout, task.retries = timedelta(seconds=1), 0
slow = {"FAKE_LINES": json.dumps([["step 1", 60]]), "FAKE_WAIT_UNTIL": "/nowhere"}
with patch.dict(os.environ, slow):
    results["takes too long"] = play(retain, "takes too long", {}, number=140, form={})
calls = [json.loads(line) for line in Path(os.environ["FAKE_CALLS"]).read_text(encoding="utf-8").splitlines()]
endings = {command: ending(command) for command in ("exit 0", "exit 99", "exit 1", "exit 75", "kill -9 $$")}
told = {"results": results, "calls": calls, "nasty": NASTY, "endings": endings, "announced": announced()}
print(json.dumps(told))  # noqa: T201 - the test reads it
