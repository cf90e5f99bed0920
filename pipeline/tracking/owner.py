"""A bucket as the owner of runs and versions in MLflow, and MLflow as an observer of its journal."""

from collections.abc import Collection
from functools import cache

from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.observers import Observer
from pipeline.runs.records import TrainRecord
from pipeline.runs.run_records import RunRecords
from pipeline.storage.bucket import Bucket
from pipeline.storage.identity import Identity, find_identity, make_identity
from pipeline.tracking.mirror import mirror
from pipeline.tracking.ownership import Owner
from pipeline.tracking.registry import Mlflow, Trained

# These change neither the role of a version nor what MLflow says of it.
_NOTHING_TO_MIRROR = frozenset(
    {Event.PINNED, Event.FROZEN, Event.UNFROZEN, Event.HELD, Event.READMITTED, Event.RETIRED}
)


def find_owner(bucket: Bucket, model: str, history: History) -> Owner:
    """The owner for a bucket that is only looked at: no identity is created."""
    return make_owner(bucket, model, find_identity(bucket), history)


def make_owner(bucket: Bucket, model: str, identity: Identity, history: History) -> Owner:
    """The owner of the runs and versions that belong to this bucket's journal of a model."""

    @cache  # versions from before there were identities are looked up many times
    def trained(version: int) -> Trained | None:
        # The records of a retired version may be deleted, and nothing about it changes in MLflow any more.
        if history.is_retired(version):
            return None
        claimed = history.of_version(history.original(version), Event.CLAIMED)
        if claimed is None:
            return None
        record = RunRecords(bucket, model, claimed.run_key).find(TrainRecord)
        return Trained(record.mlflow_run, record.mlflow_model) if record else None

    return Owner(identity, trained)


def mlflow_observer(mlflow: Mlflow, bucket: Bucket, model: str) -> Observer:
    """An observer that makes MLflow follow the journal of a model. It never raises; see `mirror`."""

    def follow(history: History, events: Collection[Event] | None) -> str | None:
        if events and _NOTHING_TO_MIRROR.issuperset(events):
            return None

        def owner() -> Owner:
            # A bucket without a release owns nothing in MLflow, so no identity is created for it.
            find = make_identity if history.seq else find_identity
            return make_owner(bucket, model, find(bucket), history)

        return mirror(mlflow, model=model, history=history, owner=owner, everything=events is None)

    return follow
