"""Let go the versions, runs and leftovers of a model that nothing needs any more.

Every week, and whenever somebody triggers it. What serves, the way back, whatever is being proven, pinned, named by the
servers' config or young stays; how many good versions stay before the one that serves, and for how many days everything
stays, says `retention` in the model's file. The journal and the manifests stay for ever; so do images (`data/`), which
all runs share, and measurements (`baselines/`).

To see first what would go, and why everything else stays, trigger it with *Only say what would go*; the table is in the
log of `retain`.

### What you see, and what to do

- **Green**: the log has a table of what went, and why each other version stays.
- **A version stays that you want to be rid of**: its line says who needs it. A pin ends with the DAG `unfreeze`; a
  role ends with a release or a roll-back. Do not delete folders by hand: servers may read them.
- **`retain` red**: the bucket refused, and the log says what. Nothing that anybody needs is gone. Mend the cause and
  clear the task, or wait for next week: it goes on where it stopped.
- **A roll-back says that its target was retired**: its files are gone. The message lists the versions that can be had;
  to have more of them next time raise `keep` or `days`.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from dags.models import dag_of_each_model
from dags.steps import RETRY, cron, run_key, step
from pipeline.spec import ModelSpec


def retain(spec: ModelSpec) -> DAG:
    """The DAG of one model file."""
    with DAG(
        dag_id=f"retain_{spec.name}",
        description=f"Lets old versions and runs of {spec.name} go",
        doc_md=__doc__,
        schedule=cron(spec.retention.schedule),
        catchup=False,
        max_active_runs=1,
        params={
            "dry_run": Param(
                False,
                type="boolean",
                title="Only say what would go",
                description="Changes nothing; the table is in the log.",
            )
        },
        tags=["retain", spec.name],
        default_args={"owner": spec.owner, **RETRY},
    ) as dag:
        step(
            "retain",
            key=run_key("retain"),
            form='{{ {"dry_run": params.dry_run} | tojson }}',
            words=("--model", spec.name),
            doc_md="Says in the journal what is retired, and deletes it then; the log has a table with the reasons.",
            execution_timeout=timedelta(hours=2),
        )
    return dag


globals().update(dag_of_each_model("retain", retain))
