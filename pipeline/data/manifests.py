"""The manifests of snapshots: Parquet files in the bucket with a row for each file, in the order of the listing.

A manifest is at once the list of a run's images, and what the next snapshot knows: a file with the same name, size and
stamp is not read again. Until a snapshot is complete, what it has read is in parts, which the next one knows as well.
"""

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline import layout
from pipeline.data.rows import Row, metadata_of, record_batch, rows_of, schema, slice_columns
from pipeline.data.source import Entry
from pipeline.errors import DamagedError, MissingError, NewerVersionError, StorageError
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.measurements import DataSummary

log = logging.getLogger(__name__)

_FILE = "images.parquet"
# Name, size and stamp.
Shard = tuple[str, int, str]
# Of the shape of manifests. A manifest of a newer one is read by nobody older.
_FORMAT = 1
# Of names of manifests, so that they sort by time.
_MOMENT = "%Y%m%dT%H%M%S%fZ"
# Rows in memory at a time.
BATCH = 8192
# Rows of a row group; a multiple of the batch.
_GROUP = 16_384


@dataclass(frozen=True)
class Manifest:
    """A manifest on this machine.

    Attributes:
        key: its folder in the bucket.
        path: the file.
        digest: of the data set, see `SnapshotRecord`.
        settings: how it was made, see `pipeline.data.importing`.
        shards: name, size and stamp of each shard that it has all images of.
        found: the figures.
        slices: the names of the slices.
        unusable_rows: the number of rows that are unusable.
    """

    key: str
    path: Path
    digest: str
    settings: Mapping[str, Any]
    shards: frozenset[Shard]
    found: DataSummary
    slices: tuple[str, ...]
    unusable_rows: int

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the listing."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BATCH):
                yield from rows_of(batch)

    def same_entries(self, entries: Iterator[Entry]) -> tuple[int, list[Entry]]:
        """Compare a listing with that of this manifest, by name, size, stamp, label, split and slices.

        Returns:
            How many entries are the same from the beginning, and the entries that were taken after them; an empty list
            if all of them are the same and both end here. An entry without a stamp is never the same.
        """
        import pyarrow.parquet as pq

        names = ["name", "size", "stamp", "label", "given", *slice_columns(self.slices)]
        same = 0
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BATCH, columns=names):
                taken = list(islice(entries, batch.num_rows))
                if len(taken) < batch.num_rows or not _is_listing(batch, taken):
                    # One more, so that a listing that has become shorter differs.
                    return same, taken or [_END]
                same += len(taken)
        return same, list(islice(entries, 1))

    def listed(self, count: int) -> Iterator[Entry]:
        """The first entries of the listing."""
        for row in islice(self.rows(), count):
            yield Entry(row.name, row.size, row.stamp, row.label, row.given, slices_of(row))


# Stands for the end of a listing.
_END = Entry("", 0, "")


def is_end(entry: Entry) -> bool:
    """Whether an entry of `same_entries` only says that the listing has ended."""
    return entry is _END


def slices_of(row: Row) -> tuple[str, ...]:
    """The values of the slices of a row."""
    return tuple(json.loads(row.slices))


def _is_listing(batch: Any, entries: Sequence[Entry]) -> bool:
    names, sizes, stamps, labels, given, slices = zip(*entries, strict=True)
    if "" in stamps:
        return False
    columns = [names, sizes, stamps, labels, given, *zip(*slices, strict=True)]
    return len(columns) == batch.num_columns and all(
        # As lists: `pyarrow.array` imports pandas, which takes longer than all of a snapshot that finds nothing new.
        found.to_pylist() == list(values)
        for found, values in zip(batch.columns, columns, strict=True)
    )


def write(
    path: Path,
    rows: Iterable[Row],
    *,
    slices: Sequence[str],
    settings: Mapping[str, Any],
    shards: Iterable[Shard],
    digest: str = "",
    found: DataSummary | None = None,
    unusable_rows: int = 0,
) -> str:
    """Write a manifest or a part to a file; the SHA-256 of the file. Memory does not grow with the rows."""
    import pyarrow.parquet as pq

    metadata = {
        "format": _FORMAT,
        "settings": dict(settings),
        "digest": digest,
        "found": (found or DataSummary()).model_dump(mode="json"),
        "shards": sorted(shards),
        "slices": list(slices),
        "unusable_rows": unusable_rows,
    }
    shape = schema(slices, metadata)
    with pq.ParquetWriter(path, shape, compression="zstd") as writer:
        rest = iter(rows)
        while batch := list(islice(rest, _GROUP)):
            writer.write_batch(record_batch(batch, shape))
    summed = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            summed.update(piece)
    return summed.hexdigest()


def store(bucket: Bucket, model: str, path: Path, *, digest: str, at: datetime) -> str:
    """Store a manifest; its folder. The newest one is what the next snapshot knows."""
    key = layout.snapshot_manifest(model, f"{at:{_MOMENT}}", digest)
    _upload(bucket, path, key)
    return key


def store_part(bucket: Bucket, model: str, path: Path, *, digest: str) -> str:
    """Store what a snapshot has read so far, apart from its earlier parts; the name of the part."""
    _upload(bucket, path, f"{layout.snapshot_parts(model)}/{digest[:16]}")
    return digest[:16]


def _upload(bucket: Bucket, path: Path, key: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        path.rename(Path(folder) / _FILE)
        bucket.upload(Path(folder), key)


@contextmanager
def newest(bucket: Bucket, model: str) -> Iterator[Manifest | None]:
    """The newest manifest of a model that can be read; None if there is none.

    Raises:
        StorageError: the bucket does not answer.
    """
    names = [name for name in bucket.names(layout.snapshots(model)) if layout.is_snapshot_manifest(name)]
    for name in reversed(names):
        key = f"{layout.snapshots(model)}/{name}"
        with _opened_or_none(bucket, key) as found:
            if found is not None:
                yield found
                return
    yield None


@contextmanager
def _opened_or_none(bucket: Bucket, key: str) -> Iterator[Manifest | None]:
    """Yield inside the `with` of a copy, so errors of the block are not mistaken for those of the manifest."""
    try:
        copy = bucket.local_copy(key)
        folder = copy.__enter__()
    except MissingError:
        yield None
        return
    try:
        try:
            found = _read(key, folder / _FILE)
        except (DamagedError, NewerVersionError) as error:
            log.warning("%s; it is ignored, and more images are read again", error)
            found = None
        yield found
    finally:
        copy.__exit__(None, None, None)


@contextmanager
def opened(bucket: Bucket, key: str) -> Iterator[Manifest]:
    """The manifest in a folder of the bucket.

    Raises:
        MissingError: there is none.
        DamagedError: it is no manifest.
        NewerVersionError: a newer version wrote it.
    """
    with bucket.local_copy(key) as folder:
        yield _read(key, folder / _FILE)


def read_parts(bucket: Bucket, model: str, names: Iterable[str]) -> Iterator[Manifest]:
    """Parts of snapshots that were not completed; those that cannot be read are skipped.

    Each is on this machine until the next one is taken.
    """
    for name in names:
        with _opened_or_none(bucket, f"{layout.snapshot_parts(model)}/{name}") as found:
            if found is not None:
                yield found


def remove_parts(bucket: Bucket, model: str, names: Iterable[str]) -> None:
    """Remove parts that a manifest has replaced. Never raises: one that stays costs time, and nothing else."""
    for name in names:
        try:
            bucket.remove(f"{layout.snapshot_parts(model)}/{name}")
        except StorageError as error:
            log.warning("a part of an earlier snapshot could not be removed: %s", error)
            return


def _read(key: str, path: Path) -> Manifest:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = metadata_of(pq.read_schema(path))
        if found["format"] > _FORMAT:
            raise NewerVersionError(f"{key} was written by a newer version of Understudy; update this one")
        return Manifest(
            key=key,
            path=path,
            digest=found["digest"],
            settings=found["settings"],
            shards=frozenset((name, size, stamp) for name, size, stamp in found["shards"]),
            found=DataSummary.model_validate(found["found"]),
            slices=tuple(found["slices"]),
            unusable_rows=found["unusable_rows"],
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{key} is not a manifest of images: {error}") from error
