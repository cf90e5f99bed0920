"""Which runs and registered versions in MLflow belong to a bucket. The rule is in `pipeline.tracking.mirror`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.storage.identity import Identity
from pipeline.tracking.registry import BUCKET_TAG, Registered, Trained


@dataclass(frozen=True)
class Owner:
    """A bucket whose runs and versions are looked up in MLflow. Only a bucket with an id may change MLflow.

    Attributes:
        bucket: its identity.
        trained: where MLflow keeps the model of a version, given its number; None if the bucket has no record of it.
    """

    bucket: Identity
    trained: Callable[[int], Trained | None]

    def owns(self, version: Registered) -> bool:
        """Whether a registered version belongs to this bucket."""
        if version.served is None:
            return False
        if version.bucket:
            return version.bucket == self.bucket.id
        trained = self.trained(version.served)
        return trained is not None and bool(trained.run) and trained.run == version.run


def owns_run(bucket: Identity, tags: Mapping[str, str]) -> bool:
    """Whether a run that the records of a bucket name belongs to it, given the tags of the run."""
    return tags.get(BUCKET_TAG, "") in ("", bucket.id)
