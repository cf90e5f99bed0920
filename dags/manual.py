"""What the DAGs share that a person triggers: the fields of their forms, and how they run."""

from typing import Any

from airflow.sdk import DAG, Param

from dags.steps import RETRY, run_key, step
from pipeline.model_files import model_files
from pipeline.settings import load_settings
from serving.model_names import is_model

# Names of files, not their content: a model file that cannot be read must not take these DAGs away.
MODELS = [path.stem for path in model_files(load_settings().models) if is_model(path.stem)]

VERSION = r"v?[1-9][0-9]{0,17}"


# Above every retrain, however many tasks wait in that.
FIRST = {"priority_weight": 1000, "weight_rule": "absolute"}


def manual_dag(dag_id: str, *, description: str, doc: str, fields: dict[str, Param]) -> DAG:
    """A DAG that only people start, with the model as the first field of its form; its tasks run before all others."""
    return DAG(
        dag_id=dag_id,
        description=description,
        doc_md=doc,
        schedule=None,
        # A person who needs it cannot wait for it to be switched on.
        is_paused_upon_creation=False,
        allowed_run_types=["manual", "operator_triggered"],
        catchup=False,
        max_active_runs=1,
        tags=[dag_id, "on call"],
        default_args={"owner": "understudy", **RETRY, **FIRST},
        params={"model": _model(), **fields},
    )


def verb(name: str, meaning: str, *, kind: str, **more: Any) -> Any:
    """The task that runs a verb with what the form says. `kind` is that of the run key."""
    return step(
        name,
        key=run_key(kind),
        form="{{ params | tojson }}",
        env={"UNDERSTUDY_MODEL": "{{ params.model }}"},
        doc_md=meaning,
        on_call=True,
        **more,
    )


def reason(question: str) -> Param:
    return Param(
        type="string", minLength=3, pattern=r"\S", title="Reason", description=f"{question} The history keeps it."
    )


def _model() -> Param:
    """Nothing is chosen beforehand where there is a choice: the wrong model must not be one click away."""
    chosen = {"default": MODELS[0]} if len(MODELS) == 1 else {}
    return Param(**chosen, type="string", enum=MODELS, title="Model")
