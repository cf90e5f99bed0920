"""What an exported SavedModel in the bucket answers, as `evaluate` measures it and as a snapshot asks it."""

from collections.abc import Sequence

from pipeline.storage.bucket import Bucket
from pipeline.training.scoring import ExportedModel, Predictions


def answers(bucket: Bucket, folder: str, images: Sequence[bytes]) -> Predictions:
    """The answers of the model for encoded images, in their order. There must be at least one.

    Raises:
        StorageError: the folder is not there, or not as it was stored.
        StatusError: a server could not load the model or run it either.
    """
    with bucket.local_copy(folder) as local:
        return ExportedModel(local).predict(images)
