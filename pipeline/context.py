"""What a verb works with: one model, one run, and the ways to the bucket and to the replicas."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline import layout
from pipeline.clock import Clock, SystemClock
from pipeline.errors import BadInputError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.journal.manifests import Manifests
from pipeline.rollout.latest import Latest
from pipeline.rollout.other_models import OtherModels
from pipeline.rollout.placement import Pinned, Placement
from pipeline.rollout.rollout import Rollout
from pipeline.runs.records import TrainRecord
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings
from pipeline.signing.signatures import Signatures
from pipeline.storage.bucket import Bucket
from pipeline.storage.identity import Identity, find_identity, make_identity
from pipeline.storage.opening import open_bucket
from pipeline.tracking.mirror import Owner, mirror, tag_run
from pipeline.tracking.registry import Mlflow, Trained
from serving.fleet import Fleet, parse_fleet


@dataclass(frozen=True)
class Ports:
    """Every way by which a verb sees the world and changes it; whoever checks the verbs may put others here."""

    bucket: Bucket
    fleet: Fleet
    mlflow: Mlflow
    clock: Clock


@dataclass(frozen=True)
class Context:
    settings: Settings
    model: str
    run_key: str
    bucket: Bucket
    mlflow: Mlflow
    clock: Clock
    records: RunRecords
    journal: Journal
    manifests: Manifests
    rollout: Rollout

    def records_of(self, version: int, history: History) -> RunRecords | None:
        """The records of the run a version came from."""
        claimed = history.of_version(history.original(version), Event.CLAIMED)
        return RunRecords(self.bucket, self.model, claimed.run_key) if claimed else None

    def mirror(self, history: History) -> str | None:
        """Let MLflow follow; whatever comes of it, the verb goes on. Why it could not, or None where it did."""

        def owner() -> Owner:
            # A bucket that has never released anything owns nothing in MLflow, and gets no identity for that.
            find = make_identity if history.entries else find_identity
            return self.owner(find(self.bucket), history)

        return mirror(self.mlflow, model=self.model, history=history, owner=owner)

    def owner(self, bucket: Identity, history: History) -> Owner:
        """The bucket as the owner of runs and versions in MLflow."""

        @cache  # a version from before there were identities is asked about again and again
        def trained(version: int) -> Trained | None:
            # The records of a retired version may be gone, and nothing is changed in MLflow about it any more.
            records = self.records_of(version, history) if history.retirement(version) is None else None
            record = records.find(TrainRecord) if records else None
            return Trained(record.mlflow_run, record.mlflow_model) if record else None

        return Owner(bucket, trained)

    def tag_run(self, tags: Mapping[str, str]) -> None:
        """Let MLflow know of a run that has no version, or none yet; whatever comes of it, the verb goes on."""
        trained = self.records.find(TrainRecord)
        if trained is not None:
            tag_run(self.mlflow, run=trained.mlflow_run, tags=tags, bucket=lambda: make_identity(self.bucket))


def open_ports(settings: Settings) -> Ports:
    """The real ones; nothing is read or connected yet.

    Raises:
        BadInputError: the address of the bucket or the list of replicas is malformed.
    """
    try:
        fleet = parse_fleet(settings.replicas, expected=settings.expected_replicas)
    except ValueError as error:
        raise BadInputError(f"UNDERSTUDY_REPLICAS: {error}") from error
    return Ports(
        open_bucket(settings.root, seconds=settings.storage_seconds), fleet, Mlflow(settings.mlflow_url), SystemClock()
    )


def make_context(settings: Settings, *, model: str, run_key: str, ports: Ports | None = None) -> Context:
    """Wire the parts together; nothing is read or connected yet.

    Raises:
        BadInputError: the name of the model or the run key is malformed, or an address in the settings is.
    """
    if not layout.is_model(model):
        raise BadInputError(f"{model!r} is no name of a model: a letter, then letters, digits and _ (at most 40)")
    if not layout.is_run_key(run_key):
        raise BadInputError(f"run key {run_key!r} is not of the form kind-digits, for example retrain-20260101120000")
    ports = ports or open_ports(settings)
    bucket, clock = ports.bucket, ports.clock
    journal = Journal(bucket, model, run_key=run_key, actor=settings.actor, clock=clock)
    signatures = Signatures(bucket, model, signing_key=settings.signing_key, verifying_key=settings.verifying_key)
    latest = settings.rollout == "latest"
    others = OtherModels(model, folder=Path(settings.models), bucket=bucket)
    folder = layout.published if latest else layout.version
    manifests = Manifests(bucket, model, folder=folder, signatures=signatures)
    # Servers that cannot read the bucket read a copy of it in another place.
    versions = layout.versions(model)
    base_path = f"{settings.server_root.rstrip('/')}/{versions}" if settings.server_root else bucket.uri(versions)
    placement: Placement = (
        Latest(model, bucket, journal, manifests, base_path=base_path) if latest else Pinned(model, base_path)
    )
    return Context(
        settings=settings,
        model=model,
        run_key=run_key,
        bucket=bucket,
        mlflow=ports.mlflow,
        clock=clock,
        records=RunRecords(bucket, model, run_key),
        journal=journal,
        manifests=manifests,
        rollout=Rollout(
            model=model,
            placement=placement,
            bucket=bucket,
            journal=journal,
            fleet=ports.fleet,
            others=others,
            clock=clock,
            settings=settings,
        ),
    )
