"""Go back to an earlier version.

1. Choose the model. *To* stays `previous` (the version that served before the present one) unless you know the number.
2. Say why, in a sentence; the release history keeps it with your name.
3. Trigger. `plan` writes what is about to happen and how long it takes; `roll_back` does it and ends green once
   **every** replica answers from the target.

It waits for no retrain: a run that is under way finds that another version serves and withdraws its candidate.

### What you see, and what to do

- **`plan` red**: there is no such version, or its files are gone. Nothing was changed. Its log says which;
  `python -m pipeline history --model <name>` lists what there is.
- **`roll_back` red, *not followed* in its log**: the target serves, except on the replicas it names. Each follows by
  itself once it can see what it should serve; then clear the task to have it confirmed.
- **`roll_back` red, *cannot be loaded* in its log**: what served before still serves. Choose another number.
- **Airflow is down**: `python -m pipeline rollback --model <name> --to previous --reason "..."` does the same by hand.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain

from dags.steps import RETRY, run_key, step
from pipeline.settings import load_settings

KEY = run_key("rollback")

# Names of files, not their content: a model file that cannot be read must not take this DAG away.
MODELS = sorted(path.stem for path in load_settings().models.glob("*.yaml"))


def verb(task_id: str, meaning: str, **more: Any) -> Any:
    return step(
        "rollback",
        key=KEY,
        form='{{ {"to": params.to, "reason": params.reason} | tojson }}',
        env={"UNDERSTUDY_MODEL": "{{ params.model }}"},
        task_id=task_id,
        doc_md=meaning,
        **more,
    )


with DAG(
    dag_id="rollback",
    description="Makes an earlier version of a model serve again, on every replica, within seconds",
    doc_md=__doc__,
    schedule=None,
    # Whoever needs it needs it at once.
    is_paused_upon_creation=False,
    allowed_run_types=["manual", "operator_triggered"],
    catchup=False,
    max_active_runs=1,
    tags=["rollback", "on call"],
    default_args={"owner": "understudy", **RETRY},
    params={
        "model": Param(
            MODELS[0] if MODELS else None,
            type="string",
            enum=MODELS,
            title="Model",
        ),
        "to": Param(
            "previous",
            type="string",
            pattern=r"^(previous|[1-9][0-9]{0,17})$",
            title="To",
            description="`previous`, or the number of a version that served before, for example `6`.",
        ),
        "reason": Param(
            type="string",
            minLength=3,
            pattern=r"\S",
            title="Reason",
            description="What is wrong with the version that serves? Whoever reads the history wants to know.",
        ),
    },
) as dag:
    chain(
        verb("plan", "Writes what the roll-back will do; changes nothing.", words=("--plan",)),
        verb(
            "roll_back",
            "Moves traffic and waits until every replica answers from the target.",
            execution_timeout=timedelta(minutes=15),
        ),
    )
