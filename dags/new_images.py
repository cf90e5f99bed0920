"""What starts the DAG of a model that has `new_images` in its file, and what its runs wait for.

Google's provider takes seconds to import, so it is imported only where a model file asks for it.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher

from dags.steps import cron
from pipeline.new_images import NewImages, PubSub
from pipeline.spec import ModelSpec

# The most that Pub/Sub gives at once. All of them are one event.
_MESSAGES = 1000
_POLL_SECONDS = 60.0
# How long an upload may take, without the time for which nothing is added at its end.
_UPLOAD = timedelta(days=1)


def schedule(spec: ModelSpec) -> Any:
    """What starts the DAG: the cron expression of the model file, messages of its subscription, either, or nothing."""
    timed = cron(spec.schedule)
    if spec.new_images is None or spec.new_images.pubsub is None:
        return timed
    images = _watched_images(spec.name, spec.new_images.pubsub, connection=spec.new_images.connection)
    return AssetOrTimeSchedule(timetable=timed, assets=[images]) if timed else [images]


def starts(spec: ModelSpec) -> str:
    """A paragraph for the page of the DAG: what starts a run, and what the run waits for."""
    new, lines = spec.new_images, []
    if spec.schedule:
        lines.append(f"the schedule `{spec.schedule}` (UTC)")
    if new and new.pubsub:
        lines.append(f"a message in the subscription `{new.pubsub.subscription}` of the project `{new.pubsub.project}`")
    text = f"A run is started by {' or '.join([*lines, 'a person'])}."
    if new and new.pubsub:
        text += (
            " A run that a message has started ends skipped in `snapshot` if its images are those of the newest run "
            "that was decided."
        )
    if new and new.upload:
        text += (
            f" Unless a person has started it, the run first waits in `uploads` until no object was added below "
            f"`gs://{new.upload.bucket}/{new.upload.prefix}` for {new.upload.inactivity_minutes:g} minutes."
        )
    return text


def uploads(new: NewImages) -> Any:
    """The task that waits until an upload has ended; None where the model file names no place of uploads.

    It waits in the triggerer, and takes no slot of a worker or of the pool of retrains. A run that a person has started
    does not wait.
    """
    if new.upload is None:
        return None
    from airflow.providers.google.cloud.sensors.gcs import GCSUploadSessionCompleteSensor  # noqa: PLC0415

    class UploadsEnded(GCSUploadSessionCompleteSensor):  # type: ignore[misc]
        def execute(self, context: Any) -> Any:
            if context["dag_run"].triggering_user_name:
                self.log.info("A person has started this run, so it does not wait.")
                return None
            return super().execute(context)

        def poke(self, context: Any) -> bool:  # noqa: ARG002 - as Airflow calls it
            """Leave the first look to the trigger: the names of all objects would go through Airflow's database."""
            return False

    inactivity = timedelta(minutes=new.upload.inactivity_minutes)
    return UploadsEnded(
        task_id="uploads",
        bucket=new.upload.bucket,
        prefix=new.upload.prefix,
        inactivity_period=inactivity.total_seconds(),
        google_cloud_conn_id=new.connection,
        # Where steps are pods, the pool of retrains counts what waits: uploads of a day would stop all retrains.
        pool="default_pool",
        deferrable=True,
        poke_interval=min(_POLL_SECONDS, inactivity.total_seconds() / 4),
        # If an upload never pauses, the task fails, and so does the run: without a limit no run would train or fail.
        timeout=(_UPLOAD + inactivity).total_seconds(),
        execution_timeout=_UPLOAD + inactivity + timedelta(minutes=5),
        # The retries of the DAG are kept: the task asks once a minute for hours, and one answer that fails ends a try.
        doc_md="Waits until no object was added for the minutes that the model file says.",
    )


def _watched_images(model: str, pubsub: PubSub, *, connection: str) -> Asset:
    from airflow.providers.google.cloud.triggers.pubsub import PubsubPullTrigger  # noqa: PLC0415

    trigger = PubsubPullTrigger(
        project_id=pubsub.project,
        subscription=pubsub.subscription,
        max_messages=_MESSAGES,
        # Otherwise Pub/Sub sends the same messages again and again.
        ack_messages=True,
        gcp_conn_id=connection,
        # Pub/Sub holds a request until there is a message; `True` is deprecated, and can miss messages.
        return_immediately=False,
    )
    return Asset(
        name=f"{model}/images", group="dataset", watchers=[AssetWatcher(name=f"{model}/new images", trigger=trigger)]
    )
