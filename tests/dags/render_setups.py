"""Reads the DAGs with one set-up of wrong_pods.py after the other; prints as JSON what they have become.

render_setups.py FOLDER    where to write the files of pods
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag

from dags.steps import require_steps
from dags.tasks.pod_settings import load_pods
from tests.dags.wrong_pods import RIGHT, WRONG, Setup

FILES = ("retrain", "retain", "announce", "rollback")
WITHOUT = dict(os.environ)


def read(file: str) -> dict[str, Any]:
    bag = DagBag(str(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{file}.py"))
    return {
        "import_errors": bag.import_errors,
        "dags": {dag.dag_id: {task.task_id: task.task_type for task in dag.tasks} for dag in bag.dags.values()},
        "descriptions": {dag.dag_id: dag.description for dag in bag.dags.values()},
    }


def read_all(setup: Setup, path: Path) -> dict[str, Any]:
    if setup.content is not None:
        path.write_text(setup.content, encoding="utf-8")
    root = {"UNDERSTUDY_ROOT": setup.root} if setup.root else {}
    os.environ.clear()
    os.environ.update(WITHOUT | root | dict(setup.environment), UNDERSTUDY_EXECUTION="pod", UNDERSTUDY_PODS=str(path))
    load_pods.cache_clear()
    require_steps.cache_clear()
    found: dict[str, Any] = {"import_errors": {}, "dags": {}, "descriptions": {}}
    for file in FILES:
        for name, part in read(file).items():
            found[name] |= part
    return found


setups = enumerate({**WRONG, **RIGHT}.items())
told = {name: read_all(setup, Path(sys.argv[1]) / f"{number}.yaml") for number, (name, setup) in setups}
print(json.dumps(told))  # noqa: T201 - the test reads it
