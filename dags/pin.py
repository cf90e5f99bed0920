"""Keep one version serving: make it serve if it does not, and promote nothing else.

For a version that must stay: a customer has approved it, or an incident is being examined. Retrains end skipped until
the DAG `unfreeze` is triggered. A roll-back to another version ends the pin; promotions stay held.

### What you see, and what to do

- **`pin` green**: every replica answers from the version, and it stays.
- **`pin` red, *has never served* in its log**: only a version that has served can be pinned. The log lists them.
- **`pin` red, *Not followed* in its log**: the version is pinned and serves, except on the replicas that the log names.
  Run `understudy status --model <model>`. When the replicas are up again, clear the task.
- **`pin` skipped**: another command changed this model at the same time. Nothing is pinned. Check which version
  serves, then trigger again.
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from dags.announcing import AT_ONCE_OR_LATER, announcement
from dags.manual import MODELS, VERSION, manual_dag, reason, verb

with manual_dag(
    "pin",
    description="Keeps one version of a model serving, and promotes nothing else",
    doc=__doc__,
    fields={
        "to": Param(
            type="string",
            pattern=rf"^{VERSION}$",
            title="Version",
            description="Its number, for example 6. `understudy history` lists the versions of a model.",
        ),
        "reason": reason("Why must this version stay?"),
    },
) as dag:
    chain(
        # A pin may be a roll-back, and has the key of one.
        verb(
            "pin",
            "Makes the version serve if it does not, and holds promotions.",
            kind="rollback",
            execution_timeout=timedelta(minutes=15),
        ),
        announcement("{{ params.model }}", models=MODELS, **AT_ONCE_OR_LATER),
    )
