"""The DAGs of the model files: one for each, whatever is wrong with another."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from pipeline.errors import BadInputError
from pipeline.model_files import load_spec, model_files
from pipeline.settings import load_settings
from pipeline.spec import ModelSpec


def dag_of_each_model(kind: str, make: Callable[[ModelSpec], DAG]) -> dict[str, DAG]:
    """`<kind>_<model>` by its name, for every model file.

    A file that cannot be used becomes a DAG that says why, in its description, in its docs, and by failing; so the
    history of its runs stays where people look for it.
    """
    dags = {}
    for path in model_files(load_settings().models):
        # Any file may lie there, and Airflow takes no other characters.
        dag_id = f"{kind}_{re.sub('[^A-Za-z0-9_.-]', '_', path.stem)}"
        try:
            dags[dag_id] = make(load_spec(path))
        except BadInputError as error:
            dags[dag_id] = _unusable(dag_id, path, str(error))
    return dags


def _unusable(dag_id: str, path: Path, problem: str) -> DAG:
    with DAG(
        dag_id=dag_id,
        description=f"Cannot run: {problem}",
        doc_md=f"""The model file {path.name} cannot be used:

> {problem}

### What you see, and what to do

Correct the file. Airflow reads it within a minute, and then this DAG has its usual tasks again. The serving version
keeps serving, and `rollback` and the other DAGs that people trigger work as always. `understudy check --model
{path.stem}` lists everything that is wrong with the file.
""",
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=["broken model file", path.stem],
        default_args={"owner": "understudy", "retries": 0, "execution_timeout": timedelta(minutes=5)},
    ) as dag:

        @task(task_id="model_file", doc_md="Fails, and shows what is wrong with the model file.")  # type: ignore[untyped-decorator]
        def model_file() -> None:
            raise AirflowFailException(problem)

        model_file()
    return dag
