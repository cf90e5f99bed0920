"""A bucket as the owner of runs and versions in MLflow, and as what MLflow follows."""

from functools import cache

from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.observers import Observer
from pipeline.runs.records import TrainRecord
from pipeline.runs.run_records import RunRecords
from pipeline.storage.bucket import Bucket
from pipeline.storage.identity import Identity, find_identity, make_identity
from pipeline.tracking.mirror import Owner, mirror
from pipeline.tracking.registry import Mlflow, Trained


def make_owner(bucket: Bucket, model: str, identity: Identity, history: History) -> Owner:
    """The owner of what this bucket's journal of a model has registered."""

    @cache  # a version from before there were identities is asked about again and again
    def trained(version: int) -> Trained | None:
        # The records of a retired version may be gone, and nothing is changed in MLflow about it any more.
        claimed = history.of_version(history.original(version), Event.CLAIMED)
        if claimed is None or history.retirement(version) is not None:
            return None
        record = RunRecords(bucket, model, claimed.run_key).find(TrainRecord)
        return Trained(record.mlflow_run, record.mlflow_model) if record else None

    return Owner(identity, trained)


def mlflow_observer(mlflow: Mlflow, bucket: Bucket, model: str) -> Observer:
    """Lets MLflow follow the journal of a model; whatever comes of it, the verb goes on."""

    def follow(history: History) -> str | None:
        def owner() -> Owner:
            # A bucket that has never released anything owns nothing in MLflow, and gets no identity for that.
            find = make_identity if history.entries else find_identity
            return make_owner(bucket, model, find(bucket), history)

        return mirror(mlflow, model=model, history=history, owner=owner)

    return follow
