"""Delete versions, runs and leftovers of a model that nothing needs any more.

Runs every week, and when you trigger it. It keeps the serving version, the version before it, the candidate, a pinned
version, every version that the config of the servers names, and everything young. `retention` in the model file says
how many good versions stay before the serving one, and for how many days everything stays. The journal and the
manifests are never deleted; neither are images (`data/`), which all runs share, and measurements (`baselines/`).

To see what would be deleted, and why everything else stays, trigger it with *Only show what would be deleted*; the
table is in the log of `retain`. `understudy retain --model <model> --dry-run` shows the same.

### What you see, and what to do

- **Green**: the log has a table of what was deleted, and why each other version stays.
- **A version stays that you want deleted**: its line names the reason. A pin ends with the DAG `unfreeze`; a role ends
  with a release or a roll-back. Do not delete folders by hand: servers may be reading them.
- **`retain` red**: the bucket refused, and the log says why. Nothing that is needed was deleted. Repair the cause and
  clear the task, or wait for next week: it continues where it stopped.
- **A roll-back says that its target was retired**: its files are deleted. The message lists the versions that you can
  choose. To keep more versions next time, raise `keep` or `days` in the model file.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from dags.models import dag_of_each_model
from dags.steps import RETRY, cron, run_key, step
from pipeline.commands import with_model
from pipeline.spec import ModelSpec


def retain(spec: ModelSpec) -> DAG:
    """The DAG of one model file."""
    with DAG(
        dag_id=f"retain_{spec.name}",
        description=f"Deletes old versions and runs of {spec.name}",
        doc_md=with_model(__doc__ or "", spec.name),
        schedule=cron(spec.retention.schedule),
        catchup=False,
        max_active_runs=1,
        params={
            "dry_run": Param(
                False,
                type="boolean",
                title="Only show what would be deleted",
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
            doc_md="Writes into the journal what is retired, then deletes it. The log has a table with the reasons.",
            execution_timeout=timedelta(hours=2),
        )
    return dag


globals().update(dag_of_each_model("retain", retain))
