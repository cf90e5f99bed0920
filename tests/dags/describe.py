"""Prints as JSON what Airflow's own DagBag finds in the folder of DAGs."""

import json
import os
from datetime import UTC, datetime
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables import trigger
from airflow.timetables.base import TimeRestriction


def describe(dag: Any) -> dict[str, Any]:
    return {
        "schedule": getattr(dag.schedule, "expression", None) if dag.schedule else None,
        "first_run_after": first_run_after(dag),
        "start_date": dag.start_date,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "allowed_run_types": [str(each.value) for each in dag.allowed_run_types or []],
        "starts_paused": dag.is_paused_upon_creation,
        "tags": sorted(dag.tags),
        "description": dag.description,
        "doc_md": dag.doc_md,
        "params": dag.params.dump(),
        "nullable": sorted(
            name
            for name, param in dag.params.items()
            if "null" in (dag.params.get_param(name).schema.get("type") or [])
        ),
        "required": sorted(name for name, value in dag.params.dump().items() if value is None),
        "tasks": {task.task_id: describe_task(task) for task in dag.tasks},
    }


def first_run_after(dag: Any) -> str | None:
    """When the scheduler's own timetable first runs it, if it is switched on at 05:01 on a Monday."""
    if not getattr(dag.schedule, "expression", None):
        return None
    trigger.utcnow = lambda: datetime(2026, 11, 30, 5, 1, tzinfo=UTC)
    timetable = decode_timetable(encode_timetable(dag.schedule))
    restriction = TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup)
    due = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    return due.run_after.isoformat() if due else None


def describe_task(task: Any) -> dict[str, Any]:
    return {
        "downstream": sorted(task.downstream_task_ids),
        "owner": task.owner,
        "pool": task.pool,
        "priority": task.priority_weight,
        "weight_rule": str(getattr(task.weight_rule, "value", task.weight_rule)),
        "retries": task.retries,
        "retry_delay": task.retry_delay.total_seconds(),
        "execution_timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
        "start_date": task.start_date,
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "doc_md": task.doc_md,
        "do_xcom_push": task.do_xcom_push,
        "environment": getattr(task, "env", None),
        "command": getattr(task, "bash_command", None),
        "inlets": [inlet.name for inlet in task.inlets],
        "operator": task.task_type,
        "queue": task.queue,
    }


bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
print(  # noqa: T201 - the test reads it
    json.dumps(
        {
            "import_errors": bag.import_errors,
            "warnings": {path: list(map(str, found)) for path, found in bag.captured_warnings.items()},
            "dags": {dag_id: describe(dag) for dag_id, dag in bag.dags.items()},
        },
        default=str,
    )
)
