"""Imports every DAG file with the heavy libraries out of reach; prints as JSON what was loaded and how long it took.

Then imports those of the model files again as Airflow does before a task: it names the DAG of that task.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "sklearn", "scipy", "google.cloud", "kubernetes", "grpc", "numpy")

start = time.perf_counter()
import airflow.sdk  # noqa: E402 - timed

# What the operators' base brings along is Airflow's; the DAG files must not add to it.
from airflow.providers.standard.operators.bash import BashOperator  # noqa: E402, F401

# With it a worker names the DAG.
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager  # noqa: E402

base = time.perf_counter() - start
by_airflow = sorted(name for name in HEAVY if name in sys.modules)
for name in HEAVY:
    if name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]  # the documented way to make an import fail

start = time.perf_counter()
# Those that Airflow reads, its plugins, and all that they import.
files = sorted([*Path("dags").glob("*.py"), *Path("dags/plugins").glob("*.py")])


def dags_of(path: Path) -> list[str]:
    specification = importlib.util.spec_from_file_location(f"parsed_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return [each.dag_id for each in vars(module).values() if isinstance(each, airflow.sdk.DAG)]


def dags_for(dag_id: str) -> list[str]:
    with _airflow_parsing_context_manager(dag_id=dag_id, task_id="any"):
        return [each for path in files if path.name in ("retrain.py", "retain.py") for each in dags_of(path)]


dags = [each for path in files for each in dags_of(path)]
seconds = time.perf_counter() - start
wanted = [*(each for each in dags if each.startswith("ret")), "retrain_unknown", "rollback"]
print(  # noqa: T201 - the test reads it
    json.dumps(
        {
            "dags": sorted(set(dags)),
            "heavy": sorted(name for name in HEAVY if sys.modules.get(name) is not None),
            "heavy_by_airflow": by_airflow,
            "base_seconds": base,
            "dags_seconds": seconds,
            "for_a_task": {each: dags_for(each) for each in wanted},
        }
    )
)
