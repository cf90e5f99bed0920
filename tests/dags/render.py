"""Prints as JSON, for every task of every DAG, its operator and the pod that it would create, rendered for a run."""

import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from kubernetes.client import ApiClient  # noqa: TID253 - in a process of its own

RUN = SimpleNamespace(
    run_after=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), run_type="manual", triggering_user_name="$(ann)"
)


def pod_of(task: Any) -> Any:
    if not hasattr(task, "build_pod_request_obj"):
        return None
    task.render_template_fields({"dag": task.dag, "task": task, "dag_run": RUN, "params": task.dag.params.dump()})
    task.name = task._set_name(task.name)
    return ApiClient().sanitize_for_serialization(task.build_pod_request_obj(None, dry_run=True))


def describe(task: Any) -> dict[str, Any]:
    pod = pod_of(task)
    names = (
        "deferrable",
        "logging_interval",
        "skip_on_exit_code",
        "on_finish_action",
        "on_kill_action",
        "startup_timeout_seconds",
        "schedule_timeout_seconds",
        "log_pod_spec_on_failure",
        "do_xcom_push",
        "queue",
        "retries",
        "project_id",
        "location",
        "cluster_name",
        "use_dns_endpoint",
        "gcp_conn_id",
        "kubernetes_conn_id",
        "bash_command",
    )
    said = {name: getattr(task, name) for name in names if hasattr(task, name)}
    said["execution_timeout"] = task.execution_timeout and task.execution_timeout.total_seconds()
    return {"operator": task.task_type, "pod": pod, "downstream": sorted(task.downstream_task_ids), **said}


bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
found = {dag.dag_id: {task.task_id: describe(task) for task in dag.tasks} for dag in bag.dags.values()}
reasons = {dag.dag_id: dag.description for dag in bag.dags.values()}
told = {"import_errors": bag.import_errors, "dags": found, "descriptions": reasons}
print(json.dumps(told, default=str))  # noqa: T201 - the test reads it
