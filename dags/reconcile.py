"""Finish what a crash left half done: make the replicas and MLflow agree with the journal.

You can run it at any time: it changes nothing where everything agrees. Its log says what it repaired, what it left to
runs that are still working, and what it could not repair.

### What you see, and what to do

- **`reconcile` green**: the journal, the replicas and MLflow agree. The log says what was repaired.
- **`reconcile` red**: the log names what is not repaired, for example a replica that does not answer. Correct it, then
  clear the task.
"""

from datetime import timedelta

from airflow.sdk import chain

from dags.announcing import AT_ONCE_OR_LATER, announcement
from dags.manual import MODELS, manual_dag, verb

with manual_dag(
    "reconcile",
    description="Finishes what a crash left half done for a model",
    doc=__doc__,
    fields={},
) as dag:
    chain(
        verb(
            "reconcile",
            "Repairs differences between journal, replicas and MLflow.",
            kind="reconcile",
            execution_timeout=timedelta(minutes=30),
        ),
        announcement("{{ params.model }}", models=MODELS, **AT_ONCE_OR_LATER),
    )
