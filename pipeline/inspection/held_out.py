"""The held-out images of a run, read in batches: they may be more than fit into memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pipeline.data.examples import read_rows, split_rows
from pipeline.runs.records import SnapshotRecord
from pipeline.storage.bucket import Bucket
from pipeline.training.scoring.exported_model import BATCH


class HeldOut:
    """The held-out images of a snapshot, in the order of the contents of their files.

    Attributes:
        labels: of the classes.
        classes: the true class of each image, int32 (images,).
    """

    def __init__(self, bucket: Bucket, model: str, data: SnapshotRecord) -> None:
        """Read which images these are, and none of them.

        Raises:
            FailedError: the bucket does not have the list of images any more, or it is damaged.
            NewerVersionError: a newer version wrote it.
        """
        self._bucket, self._model = bucket, model
        self._rows = split_rows(bucket, model, data, "holdout")
        self.labels: Sequence[str] = data.labels
        self.classes: NDArray[np.int32] = self._rows.classes

    def __len__(self) -> int:
        return len(self.classes)

    def batches(self) -> Iterator[list[bytes]]:
        """The encoded images, BATCH at a time. While a batch is used, the next one is read; no more are in memory.

        Raises:
            FailedError: the bucket does not have one any more, or its content differs from the snapshot.
        """
        with ThreadPoolExecutor(max_workers=1) as pool:
            following = pool.submit(self._batch, 0)
            for start in range(0, len(self), BATCH):
                batch, following = following.result(), pool.submit(self._batch, start + BATCH)
                yield batch

    def images(self, positions: Sequence[int]) -> list[bytes]:
        """A few images by their positions.

        Raises:
            FailedError: as `batches`.
        """
        return read_rows(self._bucket, self._model, self._rows, positions)

    def label(self, position: int) -> str:
        """The true label of an image."""
        return self.labels[int(self.classes[position])]

    def _batch(self, start: int) -> list[bytes]:
        return self.images(range(start, min(start + BATCH, len(self))))
