"""Snapshots of images for tests: take one, and read what it has left in the bucket."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import layout
from pipeline.data.examples import read_rows, split_rows
from pipeline.data.snapshot.importing import Imported, import_images
from pipeline.errors import StorageError
from pipeline.runs.records import SnapshotRecord
from pipeline.spec import Data, ModelSpec
from pipeline.storage.local import LocalBucket
from pipeline.verdicts.measurements import Split
from tests.releases import SPEC

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


class CountingBucket(LocalBucket):
    """A bucket on a disk that counts the images it is asked to store, and may fail after some of them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.stored = 0
        self.fails_after = 10**9
        self._counting = threading.Lock()

    def create(self, key: str, content: bytes) -> bool:
        if key.startswith("data/"):
            with self._counting:
                self.stored += 1
                fails = self.stored > self.fails_after
            if fails:
                raise StorageError("the bucket does not answer")
        return super().create(key, content)


def spec(images: Path | str, **data: object) -> ModelSpec:
    return SPEC.model_copy(update={"data": Data.model_validate({"images": str(images), "holdout": 0.3} | data)})


def snapshot(bucket: LocalBucket, model: ModelSpec, *, day: int = 0) -> Imported:
    return import_images(bucket, model, at=NOON + timedelta(days=day))


def rows(bucket: LocalBucket, found: Imported) -> list[dict[str, object]]:
    """The manifest, as people read it with any tool."""
    import pyarrow.parquet as pq

    return list(pq.read_table(Path(bucket.uri(found.manifest)) / "images.parquet").to_pylist())


def contents_of(bucket: LocalBucket, found: Imported, split: Split = "train") -> list[bytes]:
    """The encoded images of a split, as the later steps of a run read them."""
    images = split_rows(bucket, "digits", record(found), split)
    return read_rows(bucket, "digits", images, range(len(images)))


def stored_files(bucket: LocalBucket, found: Imported) -> list[Path]:
    """The files of the images for training, in the order of `contents_of`."""
    images = split_rows(bucket, "digits", record(found), "train")
    return [Path(bucket.uri(layout.image("digits", *name))) for name in images.names(range(len(images)))]


def splits(bucket: LocalBucket, found: Imported) -> dict[str, object]:
    return {str(row["name"]): row["split"] for row in rows(bucket, found)}


def record(found: Imported) -> SnapshotRecord:
    labels = tuple(sorted(found.found.counts))
    return SnapshotRecord(digest=found.digest, labels=labels, manifest=found.manifest, found=found.found)
