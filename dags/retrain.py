"""Retrain a classifier, and release it if it is good enough.

The run copies the data, trains, compares the candidate with the serving version, loads the candidate *dark* on every
replica (in memory, without traffic), asks each replica test questions, and only then moves traffic. Every step is
`understudy <step>` and explains itself in its log. (With the roll-out `latest` nothing can be loaded dark: users meet
the candidate on a replica until the replica was tested, and `canary` itself removes a bad candidate.) To go back to an
earlier version, trigger the DAG `rollback`, which does not wait for a run of this DAG.

If the fleet has a *first ring*, `canary` exposes the candidate to that group of replicas alone, questions it, observes
it for a while (`soak_seconds` of the fleet), and questions it again. Only then do the other replicas load it. So a
candidate that ends or blocks its server does that in the first ring, and the others answer meanwhile. `understudy
status --model <model>` says where the candidate is and what comes next.

### What you see, and what to do

The note of each DAG run says what was decided, with the numbers, and which version serves. Its first line is on the
page of the run; click the pencil next to it for the rest. What you type there yourself stays, above the outcome.

- **All green** (`withdraw` is skipped): the candidate serves.
- **`gate` and all later tasks skipped, the run green**: the candidate is not good enough. Nothing was published. The
  note of the run and the log of `gate` have the reasons. To publish it anyway, trigger a run with *Publish although the
  gate says no* and a note that says why.
- **`snapshot` or `train` and all later tasks skipped**: promotions are held by a roll-back, a pin or a freeze, and the
  run was started by its schedule or by an event. The log says by whom, why and until when. The DAG `unfreeze` ends the
  hold. Nothing repeats a run that an event has started: trigger one after the hold. With `schedule` in the model file
  the next scheduled run trains on those images by itself.
- **`snapshot` and all later tasks skipped, *an event has started this run* in its log**: the images are those of an
  earlier run, which the log names. Nothing needs to be done. To train on them again, trigger a run.
- **`snapshot` and all later tasks skipped, *nothing has changed since run* in its log**: the schedule has started the
  run, and images, code, parameters and installed packages are those of an earlier run, which was decided. Nothing needs
  to be done. To train all the same, trigger a run.
- **`uploads` red**: there are no objects, or the upload did not end within a day and the minutes of the model file.
  Read its log, then clear it.
- **`gate` says that a label is missing or new**: the image folders do not have the labels of the serving version.
  `snapshot` has already warned about it. If a folder was renamed by mistake, or a copy of the images is incomplete,
  correct the folders and trigger a new run. If you want the change, trigger a run with the names under *Labels that may
  be added or removed* and a note that says why. New labels come after the existing ones. Only an accepted removal
  changes the index of other labels: inform the owners of programs that use `class_index`.
- **`publish`, `canary` or `promote` skipped**: the log says why. For servers that have stopped, see below.
    - *Pinned*, *frozen* or *held*: promotions are held. When the hold is over, or was ended by the DAG `unfreeze`,
      trigger a new run.
    - Another version began to serve during the run. Trigger a new run: it is compared with the version that serves now.
    - The model is the same as the serving one: there is nothing to release.

  The candidate is removed from the replicas.
- **`publish` red, *this model was withdrawn* in its log**: the same model was withdrawn earlier. If that was wrong,
  trigger `readmit` with the version that the log names, then clear the task.
- **`canary` or `promote` red, `withdraw` green**: a replica gave a wrong answer, or none. The earlier version serves.
  The log of the red task names the replica and the numbers. Repair the cause, then trigger a new run.
- **`canary` skipped, its log says that a server process has stopped**: one server has ended on the candidate, in the
  first ring or where it is the only one. That may be the fault of its machine. The candidate is already removed, and
  the earlier version serves. Look at the log of the replica that the reason names, and at its memory: two versions must
  fit at the same time. Then trigger a new run: the same model may be published again. (Exit code 99, *declined*.)
- **`canary` red, its log says that a server process has stopped**: a second server has ended on the candidate, or one
  has ended on the same model in an earlier run. It is already withdrawn, and the same model is refused from now on. It
  probably needs more memory than the servers have. If the machines were the cause, trigger `readmit` with its number,
  and then a new run. (Exit code 1.)
- **`canary` red, *no answer for ... s* in its log**: a replica that answered before gave no answer for `silent_seconds`
  while it had the candidate. Whether the candidate blocks the server, or its machine or network fails, is not known.
  The candidate is already removed. Check the replica that the log names, then trigger a new run: the same model may be
  published again. (Exit code 75, *could not tell*.)
- **`canary` red, *does not read what the first ring should* in its log**: the server of the first ring polls the wrong
  file, or another server polls that of the first ring. Start it with the flag that `understudy fleet show --model
  <model>` shows, then trigger a new run: the same model may be published again. (Exit code 75.)
- **`withdraw` red**: a replica still has the candidate. Run `understudy status --model <model>`. Clear the task to try
  again, or use the DAG `rollback`.
- **`snapshot` red, *data.images* or *the images are refused* in its log**: the report that the log names lists all
  files and limits. Corrected the images: clear the task. Changed `data.checks`: trigger a new run. To train all the
  same (not for unusable files): trigger one with *Publish although the gate says no* and a note.
- **`snapshot` red, *labels cannot be read* in its log**: it is not known which label has which index in the serving
  version. Restore the files that the log names, then clear the task.
- **`train` red, *the training has diverged* in its log**: trigger a new run with a lower learning rate in its form, or
  change the model file.
- **`train` red after it was killed, or after its time limit (`training.hours`)**: clear the task. It resumes after the
  last epoch in its log, on whichever machine it starts.
- **Any task before `canary` red**: no replica has seen the candidate. Read the log, repair the cause and clear the red
  task. The run continues from there.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, chain

from dags.announcing import announcement
from dags.models import dag_of_each_model
from dags.new_images import schedule, starts, uploads
from dags.steps import RETRY, run_key, step
from pipeline.commands import with_model
from pipeline.spec import ModelSpec, Training

KEY = run_key("retrain")

_TRAINS = "Trains and exports the candidate. Cleared after a kill or a timeout, it resumes after its last epoch."
_IMPORTS = "Wraps the imported model with decoding and labels, and exports it as the candidate. Nothing is trained."

# The pool is smaller than the number of workers, so that a rollback always finds one free.
POOL = "retrain"


def retrain(spec: ModelSpec) -> DAG:
    """The DAG of one model file."""
    with DAG(
        dag_id=f"retrain_{spec.name}",
        description=spec.description,
        doc_md=with_model((__doc__ or "").replace("\n\n", f"\n\n{starts(spec)}\n\n", 1), spec.name),
        schedule=schedule(spec),
        catchup=False,
        max_active_runs=1,
        params=form(spec),
        tags=["retrain", spec.name],
        default_args={"owner": spec.owner, "pool": POOL, **RETRY},
    ) as dag:
        snapshot = verb(
            "snapshot",
            spec,
            "Keeps the images and the settings of this run, so that later changes do not affect it.",
            env={"UNDERSTUDY_STARTED_BY_EVENT": "{{ 'true' if dag_run.run_type == 'asset_triggered' else 'false' }}"},
        )
        train = verb("train", spec, _TRAINS if spec.training else _IMPORTS, execution_timeout=_longest(spec))
        evaluate = verb(
            "evaluate",
            spec,
            "Measures the candidate and the serving version on the same images.",
            execution_timeout=timedelta(hours=2),
        )
        gate = verb(
            "gate", spec, "Decides whether the candidate is good enough. Skipped means no; the log has the reasons."
        )
        publish = verb("publish", spec, "Takes the next version number, and stores and verifies the files under it.")
        canary = verb(
            "canary",
            spec,
            "Loads the candidate on every replica (with the roll-out pinned: without traffic), and tests each replica.",
        )
        promote = verb("promote", spec, "Moves traffic and waits until every replica answers from the new version.")
        # The last task: red when canary or promote is, even where `withdraw` has put everything right.
        announce = announcement(spec.name, models=[spec.name])
        withdraw = verb(
            "withdraw",
            spec,
            "Removes the candidate from the replicas. Skipped means that no replica had a candidate of this run.",
            trigger_rule="one_failed",
        )
        chain(snapshot, train, evaluate, gate, publish, canary, promote, announce)
        chain([canary, promote], withdraw)
        if spec.new_images and (uploaded := uploads(spec.new_images)):
            chain(uploaded, snapshot)
    return dag


def _longest(spec: ModelSpec) -> timedelta:
    """For how long `train` may run; an import loads one model."""
    return timedelta(hours=spec.training.hours if spec.training else 1)


def verb(name: str, spec: ModelSpec, meaning: str, **more: Any) -> Any:
    return step(name, key=KEY, form="{{ params | tojson }}", words=("--model", spec.name), doc_md=meaning, **more)


def form(spec: ModelSpec) -> dict[str, Param]:
    """What a person may change for one run; the defaults are the model file's."""
    return _training_form(spec.training) | _release_form() if spec.training else _release_form()


def _epochs(training: Training) -> str:
    sees = "How often training sees every image"
    if training.fine_tuning is None:
        return f"{sees}."
    return (
        f"{sees} in the first phase, which trains the head alone. Fine-tuning adds {training.fine_tuning.epochs} "
        f"epochs, `training.fine_tuning.epochs` of the model file."
    )


def _training_form(training: Training) -> dict[str, Param]:
    return {
        "epochs": Param(
            training.epochs,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Epochs",
            description=_epochs(training),
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
            description="Leave empty to derive it from the name of the run. The same seed and data give the same data "
            "split and the same initial weights.",
            section="Training",
        ),
    }


def _release_form() -> dict[str, Param]:
    return {
        # Airflow's form asks for every field that may not be null.
        "note": Param(
            None,
            type=["string", "null"],
            format="multiline",
            title="Note",
            description="Why this run? Kept with the release. Required if you overrule the gate.",
            section="Release",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Publish although the gate says no",
            description="Requires a note that says why. Canary and label changes are never overruled.",
            section="Release",
        ),
        "accept_labels": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Labels that may be added or removed",
            description="One name per line: the name of the image folder. Requires a note that says why.",
            section="Release",
        ),
    }


globals().update(dag_of_each_model("retrain", retrain))
