"""Make a version serve, if it does not, and let nothing else be promoted.

For a version that must stay: a customer has signed off on it, or an incident is being looked into. Retrains end skipped
until somebody triggers `unfreeze`. A roll-back to another version ends the pin; promotions stay held all the same.

### What you see, and what to do

- **`pin` green**: every replica answers from the version, and it stays.
- **`pin` red, *has never served* in its log**: only a version that served before can be pinned. The log lists them.
- **`pin` red, *not followed* in its log**: it is pinned and serves, except on the replicas it names. See
  `python -m pipeline status --model <name>`; clear the task when they are back.
- **`pin` skipped**: another decision was taken meanwhile, and nothing is pinned. See what serves, and trigger again.
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from dags.announcing import AT_ONCE_OR_LATER, announcement
from dags.manual import MODELS, VERSION, manual_dag, reason, verb

with manual_dag(
    "pin",
    description="Makes a version of a model serve, and lets nothing else be promoted",
    doc=__doc__,
    fields={
        "to": Param(
            type="string",
            pattern=rf"^{VERSION}$",
            title="Version",
            description="Its number, for example 6. python -m pipeline history --model <name> lists them.",
        ),
        "reason": reason("Why must this version stay?"),
    },
) as dag:
    chain(
        # A pin may be a roll-back, and has the key of one.
        verb(
            "pin",
            "Moves traffic if it must, and holds promotions.",
            kind="rollback",
            execution_timeout=timedelta(minutes=15),
        ),
        announcement("{{ params.model }}", models=MODELS, **AT_ONCE_OR_LATER),
    )
