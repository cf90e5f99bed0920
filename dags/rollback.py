"""Go back to an earlier version.

1. Choose the model. Leave *To* at `previous` (the version that served before the present one) unless you know the
   number. The log of the task `plan` lists the versions that have served, with date, accuracy and time served;
   `understudy rollback --model <model> --plan --reason why` lists them as well.
2. Give a reason in one sentence. The history keeps it with your name.
3. Choose under *Hold promotions* when a retrain may replace your version. `until lifted`: not until the DAG `unfreeze`
   is triggered; scheduled retrains end skipped before they train. `24h`: not for 24 hours. `none`: the next retrain
   may.
4. Trigger. `plan` shows what will happen and how long it takes. `roll_back` does it, and is green when **every**
   replica answers from the target.

It does not wait for a retrain. A retrain that is running notices the change and withdraws its candidate.

### What you see, and what to do

The note of the DAG run says which version serves and what was asked for, and of a red task the reason.

- **`plan` red**: the version does not exist, or its files are deleted. Nothing was changed. The log lists the versions
  that you can choose.
- **`roll_back` red, *Not followed* in its log**: the target serves, except on the replicas that the log names. Each of
  them follows when it can read its config again. Then clear the task to confirm the roll-back.
- **`roll_back` red, *no replica could load* in its log**: the earlier version still serves. Choose another number.
- **Retrains are skipped afterwards**: promotions are held. When the cause is repaired, trigger `unfreeze`.
- **Airflow is down**: run `understudy rollback --model <model> --to previous --reason "..."`.
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
            description='How long no retrain may replace it: "until lifted", a duration like 90m, 24h or 3d, or '
            '"none".',
        ),
        "reason": reason("What is wrong with the version that serves?"),
    },
) as dag:
    chain(
        verb(
            "rollback",
            "Lists the versions that have served, and shows what the roll-back will do. Changes nothing.",
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
