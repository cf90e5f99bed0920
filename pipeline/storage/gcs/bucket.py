"""The bucket in Google Cloud Storage."""

from pipeline.storage.gcs.connection import Connection
from pipeline.storage.gcs.objects import GcsObjects
from pipeline.storage.object_bucket import ObjectBucket
from pipeline.storage.objects import CallLimits
from pipeline.storage.pace import Pace


class GcsBucket(ObjectBucket):
    """The bucket in Google Cloud Storage; see `pipeline.storage.bucket.Bucket`.

    STORAGE_EMULATOR_HOST makes it use an emulator, without credentials. Nothing is connected before the first call.

    Args:
        root: gs://bucket or gs://bucket/prefix.
        patience: the time limits of every call.
        pace: keeps writes of the same object apart; None for the pause in `patience`.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """

    def __init__(self, root: str, *, patience: CallLimits | None = None, pace: Pace | None = None) -> None:
        patience = patience or CallLimits()
        objects = GcsObjects(Connection(root, patience))
        super().__init__(objects, pace or Pace(patience.between_writes))
