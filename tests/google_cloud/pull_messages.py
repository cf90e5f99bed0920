"""Runs the trigger of a model's DAG as Airflow's triggerer does: made anew from the database, again and again.

Answers with the events that it has fired. The argument is how many.
"""

import asyncio
import json
import os
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk._shared.module_loading import import_string
from airflow.serialization.serialized_objects import DagSerialization

from tests.google_cloud.running import PROJECT, answer


def watched() -> dict[str, Any]:
    """Class path and arguments of the trigger, as the serialised DAG has them."""
    bag = DagBag(str(PROJECT / "dags" / "retrain.py"))
    assert not bag.import_errors, bag.import_errors
    (dag,) = bag.dags.values()
    (found,) = _watchers(DagSerialization.to_dict(dag))
    trigger: dict[str, Any] = found["trigger"]
    return trigger


def _watchers(content: Any) -> list[Any]:
    if isinstance(content, dict):
        found = content.get("watchers", [])
        return [*found, *(each for value in content.values() for each in _watchers(value))]
    return [each for value in content for each in _watchers(value)] if isinstance(content, list) else []


async def fire(count: int) -> list[Any]:
    """The payload of each event."""
    fired = []
    trigger = watched()
    for _ in range(count):
        made = import_string(trigger["classpath"])(**trigger["kwargs"])
        fired += [event.payload async for event in made.run()]
        # Airflow stores it as JSON.
        json.dumps(fired)
    return fired


os.environ.setdefault("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", "google-cloud-platform://")
answer(asyncio.run(fire(int(sys.argv[1]))))
