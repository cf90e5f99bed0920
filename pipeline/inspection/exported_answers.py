"""An exported SavedModel in the bucket, as `evaluate` measures it and as a snapshot asks it."""

from pipeline.storage.bucket import Bucket
from pipeline.training.scoring.exported_model import ExportedModel


def exported_model(bucket: Bucket, folder: str) -> ExportedModel:
    """The model, in memory.

    Raises:
        StorageError: the folder is not there, or not as it was stored.
        StatusError: a server could not load the model either.
    """
    with bucket.local_copy(folder) as local:
        return ExportedModel(local)
