"""Emit an asset event for each change of the serving version that no other DAG has announced.

Such changes are roll-backs by hand and promotions that were undone. Runs every two minutes and emits one event of the
asset `<model>/production` for each change that is older than a minute. A green run without events is normal. It changes
nothing in the bucket or on a replica.

### What you see, and what to do

- **A task red**: the bucket did not answer, or does not contain the model. The next run emits what is missing.
"""

from datetime import timedelta

from airflow.sdk import DAG

from dags.announcing import announcement
from dags.manual import MODELS
from dags.models import or_why_not
from dags.steps import cron


def announce() -> DAG:
    with DAG(
        dag_id="announce",
        description="Emits an asset event for each change of what serves that no DAG has announced",
        doc_md=__doc__,
        schedule=cron("*/2 * * * *"),
        is_paused_upon_creation=False,
        catchup=False,
        max_active_runs=1,
        tags=["announce"],
        default_args={"owner": "understudy"},
    ) as made:
        for name in MODELS:
            announcement(name, models=[name], task_id=name, grace=timedelta(minutes=1), retries=0)
    return made


dag = or_why_not("announce", announce)
