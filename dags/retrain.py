"""Retrain a classifier and release it if it is good enough.

Freezes the data, trains, compares with the model that serves, loads the candidate *dark* on every replica, questions
each of them, and only then lets traffic reach it. Every step is `python -m pipeline <step>` and explains itself in its
log. (Fleets of the roll-out `latest` cannot load anything dark: there users meet the candidate on each replica until it
has been questioned, and a bad one is taken back by `canary` itself.) Going back to an earlier version is the DAG
`rollback`, which never waits for a run of this one.

### What you see, and what to do

The note of each DAG run says what was decided, with the numbers, and which version serves. Its first line is on the
page of the run; click the pencil next to it for the rest. What you type there yourself stays, above the outcome.

- **All green** (`withdraw` is skipped): the candidate serves.
- **`gate` and all that follows skipped, the run green**: the candidate is not good enough and nothing was published.
  The reasons are in the note of the run and in the log of `gate`. To publish all the same, trigger a run with *Publish
  although the gate says no* and a note that says why.
- **`snapshot` or `train` skipped, and all that follows**: promotions are held, and the run was started by its schedule:
  by a roll-back, a pin or a freeze. The log says by whom, why and until when. The DAG `unfreeze` lifts it.
- **`gate` says that a label is missing or new**: the folders of images do not show the labels of the version that
  serves. `snapshot` has warned of it. If a folder was renamed, or a copy of the images was incomplete, correct the
  folders and trigger a new run. If the change is wanted, trigger a run with the names under *Labels that may be added
  or removed* and a note that says why. New labels come after those that serve; only a removal that is accepted moves
  the index of other labels, so tell those whose programs use `class_index`.
- **`publish`, `canary` or `promote` skipped**: the log says which of three.
    - *Pinned*, *frozen* or *held*: a person holds promotions. When that is over, or was ended by the DAG `unfreeze`,
      trigger a new run.
    - Another version began to serve meanwhile. Trigger a new run; it is compared with the version that serves now.
    - The model is that of the version that serves: there is nothing to release.

  A candidate that was on the replicas is gone again.
- **`publish` red, the model was withdrawn before**: the very same model was refused or taken back. If that was wrong,
  trigger `readmit` with the version that the log names, then clear the task.
- **`canary` or `promote` red, `withdraw` green**: a replica did not answer as it must, and what served before serves.
  The log of the red task names the replica and the numbers. Mend that, then trigger a new run.
- **`canary` red, its log says that servers have ended**: the candidate probably takes more memory than they have; two
  versions must fit at a time. It is withdrawn already. If the machines were to blame, trigger `readmit` with its
  number, and then a new run.
- **`withdraw` red**: a replica could not be brought back. See `python -m pipeline status --model <name>`; clear the
  task to try again, or use the DAG `rollback`.
- **`snapshot` red, its log says that labels cannot be read**: nobody can tell which label has which index in the
  version that serves. Restore the files that the log names, then clear the task.
- **Anything before `canary` red**: no replica has seen the candidate. Read the log, mend the cause and clear the red
  task; the run goes on where it stopped.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain

from dags.announcing import announcement
from dags.models import dag_of_each_model
from dags.steps import RETRY, cron, run_key, step
from pipeline.spec import ModelSpec

KEY = run_key("retrain")

# The pool is smaller than the number of workers, so that a rollback always finds one free.
POOL = "retrain"


def retrain(spec: ModelSpec) -> DAG:
    """The DAG of one model file."""
    with DAG(
        dag_id=f"retrain_{spec.name}",
        description=spec.description,
        doc_md=__doc__,
        schedule=cron(spec.schedule),
        catchup=False,
        max_active_runs=1,
        params=form(spec),
        tags=["retrain", spec.name],
        default_args={"owner": spec.owner, "pool": POOL, **RETRY},
    ) as dag:
        snapshot = verb("snapshot", spec, "Freezes the images and the settings that this run works with.")
        train = verb("train", spec, "Trains and exports the candidate.", execution_timeout=timedelta(hours=6))
        evaluate = verb(
            "evaluate",
            spec,
            "Measures candidate and serving model on the same images.",
            execution_timeout=timedelta(hours=2),
        )
        gate = verb("gate", spec, "Is the candidate good enough? Skipped means no; the log has the reasons.")
        publish = verb("publish", spec, "Claims a version number and stores the files under it, complete and verified.")
        canary = verb(
            "canary", spec, "Loads the candidate on every replica, dark where the roll-out can, and questions each."
        )
        promote = verb("promote", spec, "Moves traffic and waits until every replica answers from the new version.")
        # The last task: red when canary or promote is, even where `withdraw` has put everything right.
        announce = announcement(spec.name, models=[spec.name])
        withdraw = verb(
            "withdraw",
            spec,
            "Takes the candidate off the replicas again. Skipped means that none of this run was there.",
            trigger_rule="one_failed",
        )
        chain(snapshot, train, evaluate, gate, publish, canary, promote, announce)
        chain([canary, promote], withdraw)
    return dag


def verb(name: str, spec: ModelSpec, meaning: str, **more: Any) -> Any:
    return step(name, key=KEY, form="{{ params | tojson }}", words=("--model", spec.name), doc_md=meaning, **more)


def form(spec: ModelSpec) -> dict[str, Param]:
    """What a person may change for one run; the defaults are the model file's."""
    training = spec.training
    return {
        "epochs": Param(
            training.epochs,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Epochs",
            description="How often training sees every image.",
            section="Training",
        ),
        "learning_rate": Param(
            training.learning_rate,
            type="number",
            exclusiveMinimum=0,
            maximum=1,
            title="Learning rate",
            section="Training",
        ),
        "seed": Param(
            training.seed,
            type=["integer", "null"],
            minimum=0,
            maximum=2**31 - 1,
            title="Seed",
            description="Empty: drawn from the run's name. The same seed and data give the same split and start.",
            section="Training",
        ),
        # Airflow's form asks for every field that may not be null.
        "note": Param(
            None,
            type=["string", "null"],
            format="multiline",
            title="Note",
            description="Why this run? Kept with the release; needed where the gate is overruled.",
            section="Release",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Publish although the gate says no",
            description="Needs a note that says why. The canary and a change of labels are never overruled.",
            section="Release",
        ),
        "accept_labels": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Labels that may be added or removed",
            description="One name per line, as the folder of images is or was called. Needs a note that says why.",
            section="Release",
        ),
    }


globals().update(dag_of_each_model("retrain", retrain))
