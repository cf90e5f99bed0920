"""Go back to an earlier version.

1. Choose the model. *To* stays `previous` (the version that served before the present one) unless you know the number.
   The log of the task `plan` lists the versions there are, with their dates, their accuracy and the time they served;
   so does `python -m pipeline rollback --plan --model <name>`.
2. Say why, in a sentence; the release history keeps it with your name.
3. *Hold promotions* decides what the next retrain may do. `until lifted`: nothing is promoted until somebody triggers
   `unfreeze`; scheduled retrains end skipped before they train. `24h`: for so long. `none`: the next retrain may
   replace the version that you have chosen.
4. Trigger. `plan` writes what is about to happen and how long it takes; `roll_back` does it and ends green once
   **every** replica answers from the target.

It waits for no retrain: a run that is under way finds that another version serves and withdraws its candidate.

### What you see, and what to do

The note of the DAG run says which version serves and what was asked for, and of a red task the reason.

- **`plan` red**: there is no such version, or its files are gone. Nothing was changed. Its log says which, and lists
  what there is.
- **`roll_back` red, *not followed* in its log**: the target serves, except on the replicas it names. Each follows by
  itself once it can see what it should serve; then clear the task to have it confirmed.
- **`roll_back` red, *cannot be loaded* in its log**: what served before still serves. Choose another number.
- **Retrains are skipped afterwards**: promotions are held. When the cause is mended, trigger `unfreeze`.
- **Airflow is down**: `python -m pipeline rollback --model <name> --to previous --reason "..."` does the same by hand.
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from dags.announcing import AT_ONCE_OR_LATER, announcement
from dags.manual import MODELS, VERSION, manual_dag, reason, verb

with manual_dag(
    "rollback",
    description="Makes an earlier version of a model serve again, on every replica, within seconds",
    doc=__doc__,
    fields={
        "to": Param(
            "previous",
            type="string",
            pattern=rf"^(previous|{VERSION})$",
            title="To",
            description='"previous", or the number of a version that served before, for example 6. The log of the '
            'task "plan" lists them.',
        ),
        "hold": Param(
            "until lifted",
            type="string",
            examples=["until lifted", "24h", "none"],
            title="Hold promotions",
            description='For how long no retrain may replace it: "until lifted", a duration like 90m, 24h or 3d, or '
            '"none".',
        ),
        "reason": reason("What is wrong with the version that serves?"),
    },
) as dag:
    chain(
        verb(
            "rollback",
            "Lists the versions there are, and writes what the roll-back will do; changes nothing.",
            kind="rollback",
            task_id="plan",
            words=("--plan",),
        ),
        verb(
            "rollback",
            "Moves traffic and waits until every replica answers from the target.",
            kind="rollback",
            task_id="roll_back",
            execution_timeout=timedelta(minutes=15),
        ),
        announcement("{{ params.model }}", models=MODELS, **AT_ONCE_OR_LATER),
    )
