"""Parse the files of DAGs with Airflow's own DagBag, and print as JSON what each costs. A process of its own.

Airflow's dag processor does this with each file again and again, and a worker with one file before each task.
"""

import json
import time
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

# Imported once, and not what is measured.
import dags.announcing
import dags.models
from bench.scale.measuring import answer

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


if __name__ == "__main__":
    folder = Path(dags.announcing.__file__).parent
    answer({name: parse(folder / name) for name in FILES})
