"""Defers the task `uploads` of a model's DAG, and runs its trigger while objects are added; answers with the event.

The argument is the bucket.
"""

import asyncio
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.serde import deserialize, serialize

from tests.google_cloud.running import PROJECT, answer


def deferred(task: Any, *, by: str | None) -> TaskDeferred | None:
    """What the task hands to Airflow; None if it ends at once. `by` is who has started the run."""
    try:
        task.execute({"dag_run": SimpleNamespace(triggering_user_name=by)})
    except TaskDeferred as found:
        return found
    return None


async def watch(trigger: Any) -> tuple[Any, float]:
    """The payload of the event, and how long after the last upload it came."""
    from google.cloud import storage

    last = 0.0
    bucket = storage.Client().bucket(sys.argv[1])

    async def upload() -> None:
        nonlocal last
        for number in (2, 3, 4):
            await asyncio.sleep(0.8)
            await asyncio.to_thread(bucket.blob(f"digits/7/{number}.png").upload_from_string, b"image")
            last = time.monotonic()

    uploading = asyncio.create_task(upload())
    (payload,) = [event.payload async for event in trigger.run()]
    ended = time.monotonic()
    await uploading
    return payload, ended - last


os.environ.setdefault("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", "google-cloud-platform://")
bag = DagBag(str(PROJECT / "dags" / "retrain.py"))
task = bag.dags["retrain_digits"].get_task("uploads")
found = deferred(task, by=None)
assert found is not None
class_path, arguments = found.trigger.serialize()
# As the worker sends it to Airflow's API, and the triggerer reads it.
arguments = deserialize(serialize(arguments))
event, seconds = asyncio.run(watch(import_string(class_path)(**arguments)))
answer(
    {
        "event": event,
        "seconds_after_the_last": seconds,
        "previous_objects": sorted(arguments["previous_objects"]),
        "resumes_with": found.method_name,
        "a_person_waits": deferred(task, by="ann") is not None,
    }
)
