"""Parse the files of DAGs with Airflow's own DagBag, and print as JSON what each costs. A process of its own.

Airflow's dag processor does this with each file again and again. A worker does it with one file before each task, and
names the DAG of that task.
"""

import json
import time
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
from airflow.serialization.serialized_objects import DagSerialization

# Imported once, and not what is measured.
import dags.announcing
import dags.models
from bench.scale.measuring import answer
from pipeline.model_files import model_files
from pipeline.settings import load_settings

FILES = ("retrain.py", "retain.py", "announce.py", "rollback.py")


def parse(path: Path) -> dict[str, float]:
    began = time.process_time()
    bag = DagBag(str(path))
    seconds = time.process_time() - began
    assert not bag.import_errors, bag.import_errors
    return {
        "seconds": seconds,
        "dags": len(bag.dags),
        "tasks": sum(len(dag.tasks) for dag in bag.dags.values()),
        "bytes": sum(len(json.dumps(DagSerialization.to_dict(dag))) for dag in bag.dags.values()),
    }


def parse_before_task(path: Path) -> dict[str, float]:
    """The same as a worker does it, for the first model."""
    first = model_files(load_settings().models)[0].stem
    with _airflow_parsing_context_manager(dag_id=f"{path.stem}_{first}"):
        return parse(path)


if __name__ == "__main__":
    folder = Path(dags.announcing.__file__).parent
    found = {name: parse(folder / name) for name in FILES}
    # Last: Airflow's context leaves the name of the DAG in the environment.
    found |= {f"{name} before a task": parse_before_task(folder / name) for name in FILES[:2]}
    answer(found)
