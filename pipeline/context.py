"""What a verb works with: one model, one run, and the ways to the bucket and to the replicas."""

from dataclasses import dataclass

from pipeline import layout
from pipeline.errors import BadInputError
from pipeline.mirror import Trained, mirror, tag_run
from pipeline.records import TrainRecord
from pipeline.release.journal import Event, History, Journal
from pipeline.release.rollout import Rollout
from pipeline.run_records import RunRecords
from pipeline.settings import Settings
from pipeline.storage import Bucket
from serving.fleet import parse_fleet


@dataclass(frozen=True)
class Context:
    settings: Settings
    model: str
    run_key: str
    bucket: Bucket
    records: RunRecords
    journal: Journal
    rollout: Rollout

    def records_of(self, version: int, history: History) -> RunRecords | None:
        """The records of the run a version came from."""
        claimed = history.of_version(version, Event.CLAIMED)
        return RunRecords(self.bucket, self.model, claimed.run_key) if claimed else None

    def mirror(self, history: History) -> None:
        """Let MLflow follow; whatever comes of it, the verb goes on."""

        def trained(version: int) -> Trained | None:
            records = self.records_of(version, history)
            record = records.find(TrainRecord) if records else None
            return Trained(record.mlflow_run, record.mlflow_model) if record else None

        mirror(url=self.settings.mlflow_url, model=self.model, history=history, trained=trained)

    def mirror_refusal(self, decision: str) -> None:
        """Let MLflow know of a run that ends without a version."""
        trained = self.records.find(TrainRecord)
        if trained is not None:
            tag_run(url=self.settings.mlflow_url, run=trained.mlflow_run, decision=decision)


def make_context(settings: Settings, *, model: str, run_key: str) -> Context:
    """Wire the parts together; nothing is read or connected yet.

    Raises:
        BadInputError: the run key or the list of replicas is malformed.
    """
    if not layout.is_model(model):
        raise BadInputError(f"{model!r} is no name of a model: a letter, then letters, digits and _ (at most 40)")
    if not layout.is_run_key(run_key):
        raise BadInputError(f"run key {run_key!r} is not of the form kind-digits, for example retrain-20260101120000")
    try:
        fleet = parse_fleet(settings.replicas, expected=settings.expected_replicas)
    except ValueError as error:
        raise BadInputError(f"UNDERSTUDY_REPLICAS: {error}") from error
    bucket = Bucket(settings.root)
    journal = Journal(bucket, model, run_key=run_key, actor=settings.actor)
    return Context(
        settings=settings,
        model=model,
        run_key=run_key,
        bucket=bucket,
        records=RunRecords(bucket, model, run_key),
        journal=journal,
        rollout=Rollout(model=model, bucket=bucket, journal=journal, fleet=fleet, settings=settings),
    )
