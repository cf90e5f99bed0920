"""What a model file costs Airflow: DAGs, CPU time of parsing, bytes in its database.

    python -m bench.scale.models COUNT

parses the files of DAGs for so many model files, with Airflow's own DagBag. Airflow's dag processor does this with each
file again and again, and a worker does it with one file before each task.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.scale.measuring import Usage, answer, show, usage

PROJECT = Path(__file__).parents[2]
FILES = ("retrain.py", "retain.py", "announce.py", "rollback.py")


def write_models(folder: Path, count: int) -> None:
    text = (PROJECT / "models" / "digits.yaml").read_text(encoding="utf-8")
    for number in range(count):
        content = text.replace("name: digits", f"name: model_{number:04d}")
        (folder / f"model_{number:04d}.yaml").write_text(content, encoding="utf-8")


def parse() -> None:
    """Runs in a process of its own, because it imports Airflow."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.providers.standard.operators.bash import BashOperator  # noqa: F401 - not what is measured
    from airflow.serialization.serialized_objects import DagSerialization

    import dags.announcing
    import dags.models  # noqa: F401

    found = {}
    for name in FILES:
        began = time.process_time()
        bag = DagBag(str(PROJECT / "dags" / name))
        seconds = time.process_time() - began
        assert not bag.import_errors, bag.import_errors
        texts = [json.dumps(DagSerialization.to_dict(dag)) for dag in bag.dags.values()]
        found[name] = {
            "seconds": seconds,
            "dags": len(bag.dags),
            "tasks": sum(len(dag.tasks) for dag in bag.dags.values()),
            "bytes": sum(map(len, texts)),
        }
    answer(found)


def parsed(count: int) -> Usage:
    """Parse with so many model files, in an Airflow home that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as home:
        models = Path(home) / "models"
        models.mkdir()
        write_models(models, count)
        env = {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "UNDERSTUDY_MODELS": str(models),
        }
        return usage("bench.scale.models", count, env=env)


def report(counts: list[int]) -> None:
    for count in counts:
        used = parsed(count)
        for name, each in used.found.items():
            show(f"{count} models: {name}: CPU of one parse", each["seconds"], "s")
            show(f"{count} models: {name}: DAGs", each["dags"], "")
            show(f"{count} models: {name}: tasks", each["tasks"], "")
            show(f"{count} models: {name}: serialized, in Airflow's database", each["bytes"] / 1e6, "MB")
        show(f"{count} models: peak memory of the process that parses all of them", used.peak_mb, "MB")


if __name__ == "__main__":
    assert len(sys.argv) == 2 and os.environ["UNDERSTUDY_MODELS"], __doc__  # noqa: PT018
    parse()
