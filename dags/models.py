"""The DAGs of the model files: one for each, whatever is wrong with another."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context, task
from airflow.sdk.exceptions import AirflowFailException

from dags.steps import require_steps
from pipeline.errors import BadInputError
from pipeline.model_files import load_spec, model_files
from pipeline.settings import load_settings
from pipeline.spec import ModelSpec


def dag_of_each_model(kind: str, make: Callable[[ModelSpec], DAG]) -> dict[str, DAG]:
    """`<kind>_<model>` by its name, for every model file; in the process of a task, the DAG of that task alone.

    A file that cannot be used becomes a DAG that says why, in its description, in its docs, and by failing; so the
    history of its runs stays where people look for it.
    """
    dags = {}
    # Airflow parses the file again before each task, and names the DAG that the task needs.
    wanted = get_parsing_context().dag_id
    for path in model_files(load_settings().models):
        # Any file may lie there, and Airflow takes no other characters.
        dag_id = f"{kind}_{re.sub('[^A-Za-z0-9_.-]', '_', path.stem)}"
        if wanted not in (None, dag_id):
            continue
        try:
            spec = load_spec(path)
        except BadInputError as error:
            dags[dag_id] = _of_broken_file(dag_id, path, str(error))
        else:
            dags[dag_id] = or_why_not(dag_id, partial(make, spec))
    return dags


def or_why_not(dag_id: str, make: Callable[[], DAG]) -> DAG:
    """What `make` makes; if the settings of steps are wrong, a DAG of the same name that says why.

    They are checked before it begins: Airflow keeps a DAG whose making was broken off.
    """
    try:
        require_steps()
    except BadInputError as error:
        return _unusable(
            dag_id,
            problem=str(error),
            what="A setting of Airflow's environment, or the file that it names, cannot be used",
            todo="Correct it",
            task_id="settings",
            tags=["broken settings"],
        )
    return make()


def _of_broken_file(dag_id: str, path: Path, problem: str) -> DAG:
    return _unusable(
        dag_id,
        problem=problem,
        what=f"The model file {path.name} cannot be used",
        todo=f"Correct the file. `understudy check --model {path.stem}` lists everything that is wrong with it",
        task_id="model_file",
        tags=["broken model file", path.stem],
    )


def _unusable(dag_id: str, *, problem: str, what: str, todo: str, task_id: str, tags: list[str]) -> DAG:
    with DAG(
        dag_id=dag_id,
        description=f"Cannot run: {problem}",
        doc_md=f"""{what}:

> {problem}

### What you see, and what to do

{todo}. Airflow reads it within a minute, and then this DAG has its usual tasks again. The serving version keeps
serving, and `rollback` and the other DAGs that people trigger work as always.
""",
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=tags,
        default_args={"owner": "understudy", "retries": 0, "execution_timeout": timedelta(minutes=5)},
    ) as dag:

        @task(task_id=task_id, doc_md="Fails, and shows what is wrong.")  # type: ignore[untyped-decorator]
        def fail() -> None:
            raise AirflowFailException(problem)

        fail()
    return dag
