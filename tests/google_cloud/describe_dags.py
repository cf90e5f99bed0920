"""Reads the DAGs of model files with `new_images`, stores them as Airflow does, and answers with what is in them."""

from typing import Any

import jinja2
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.serialization.serialized_objects import DagSerialization

from tests.google_cloud.running import PROJECT, answer

EVENT = "UNDERSTUDY_STARTED_BY_EVENT"


def describe(dag: Any) -> dict[str, Any]:
    stored = DagSerialization.to_dict(dag)
    read = DagSerialization.from_dict(stored)
    condition = stored["dag"]["timetable"]["__var"].get("asset_condition", {})
    assets = condition.get("objects", [condition] if condition else [])
    event = jinja2.Template(dag.get_task("snapshot").env[EVENT])
    uploads = dag.task_dict.get("uploads")
    return {
        "summary": read.timetable.summary,
        "assets": [each["name"] for each in assets],
        "watchers": [each["trigger"] for asset in assets for each in asset["watchers"]],
        "max_active_runs": read.max_active_runs,
        "paragraph": dag.doc_md.split("\n\n")[1],
        "first": sorted(task.task_id for task in dag.roots),
        "event": {str(kind.value): event.render(dag_run={"run_type": kind}) for kind in DagRunType},
        "uploads": uploads
        and {
            "before": sorted(uploads.downstream_task_ids),
            "retries": (uploads.retries, uploads.retry_delay.total_seconds()),
            "owner": uploads.owner,
            "pool": uploads.pool,
            "doc": uploads.doc_md,
            "timeout": uploads.timeout,
            "limit": uploads.execution_timeout.total_seconds(),
            "looks_every": uploads.poke_interval,
            "inactivity": uploads.inactivity_period,
            "deferrable": uploads.deferrable,
        },
    }


bag = DagBag(str(PROJECT / "dags" / "retrain.py"))
warnings = [str(each) for found in bag.captured_warnings.values() for each in found]
answer(
    {
        "errors": bag.import_errors,
        "warnings": warnings,
        "dags": {dag_id.removeprefix("retrain_"): describe(dag) for dag_id, dag in bag.dags.items()},
    }
)
