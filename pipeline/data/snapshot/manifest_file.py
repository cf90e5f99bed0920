"""The file of a manifest: Parquet with a row for each file of a source, in the order of the listing.

Its metadata says what the rows were made with, and has digests of the listing: whether a listing is the same is known
without a row being read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline import layout
from pipeline.data.snapshot.rows import Row, record_batch, rows_of, schema, slices_of
from pipeline.data.source import Entry
from pipeline.errors import DamagedError, NewerVersionError
from pipeline.verdicts.measurements import DataSummary

# Name, size, stamp and number of images.
Shard = tuple[str, int, str, int]
# The version of the file format. A manifest of a newer version is refused.
_FORMAT = 1
# Rows in memory at a time, and in a row group.
BATCH = 8192
# Entries that are compared at a time. Few, because Python's garbage collector looks at each that is alive.
_COMPARED = 1024
# The file beside a manifest with the images that have vanished.
VANISHED = "vanished.parquet"
# The key of the metadata in a Parquet file.
_METADATA = "understudy"


@dataclass(frozen=True)
class Manifest:
    """A manifest on this machine.

    Attributes:
        key: its folder in the bucket.
        path: the file.
        digest: of the data set, see `SnapshotRecord`.
        settings: how it was made, see `pipeline.data.snapshot.known`.
        shards: each shard that it has all images of.
        found: the figures.
        slices: the names of the slices.
        unusable_rows: the number of rows that are unusable.
        count: the number of rows.
        listing: the digest of each `_COMPARED` rows, as they were listed. They tell whether a listing is the same, and
            no row is read for that.
    """

    key: str
    path: Path
    digest: str
    settings: Mapping[str, Any]
    shards: frozenset[Shard]
    found: DataSummary
    slices: tuple[str, ...]
    unusable_rows: int
    count: int
    listing: tuple[str, ...]

    @property
    def at(self) -> datetime | None:
        """When the snapshot began; None for a part."""
        return layout.snapshot_moment(self.key.rpartition("/")[2])

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the listing.

        Raises:
            DamagedError: the file is damaged, or was removed.
        """
        yield from _rows(self.key, self.path)

    def vanished(self) -> Iterator[Row]:
        """Images that earlier snapshots had, and that may come back: their splits must not change meanwhile.

        Raises:
            DamagedError: the file is damaged.
        """
        path = self.path.with_name(VANISHED)
        if path.exists():
            yield from _rows(self.key, path)

    def same_entries(self, entries: Iterator[Entry]) -> tuple[int, list[Entry]]:
        """Compare a listing with that of this manifest, by name, size, stamp, label, split and slices.

        Returns:
            How many entries are the same from the beginning, and those that were taken after them. The listings are the
            same if these are all rows, and no entry was taken after them. An entry without a stamp is never the same.
        """
        same = 0
        for expected in self.listing:
            taken = list(islice(entries, min(_COMPARED, self.count - same)))
            if not taken or any(not entry.stamp for entry in taken) or _listing_digest(taken) != expected:
                return same, taken
            same += len(taken)
        return same, list(islice(entries, 1))

    def listed(self, count: int) -> Iterator[Entry]:
        """The first entries of the listing."""
        return map(_entry_of, islice(self.rows(), count))


def _rows(key: str, path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with damage(key), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(BATCH):
            yield from rows_of(batch)


@contextmanager
def damage(key: str) -> Iterator[None]:
    """Translate what a file makes a reader raise that is damaged or removed.

    Raises:
        DamagedError: names the folder of the manifest.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{key} is not a manifest of images, or is damaged: {error}") from error


def _entry_of(row: Row) -> Entry:
    return Entry(row.name, row.size, row.stamp, row.label, row.given, slices_of(row.slices))


def _listing_digest(entries: Sequence[Entry]) -> str:
    """The SHA-256 of a part of a listing. In columns, because `zip` would make an iterator for each entry."""
    columns = [[entry[number] for entry in entries] for number in range(len(Entry._fields))]
    return sha256(repr(columns).encode()).hexdigest()


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

    shape = schema(slices)
    count = 0
    listing: list[str] = []
    with pq.ParquetWriter(path, shape, compression="zstd", write_page_checksum=True) as writer:
        rest = iter(rows)
        while batch := list(islice(rest, BATCH)):
            writer.write_batch(record_batch(batch, shape))
            count += len(batch)
            entries = [_entry_of(row) for row in batch]
            listing += [_listing_digest(entries[at : at + _COMPARED]) for at in range(0, len(entries), _COMPARED)]
        metadata = {
            "format": _FORMAT,
            "settings": dict(settings),
            "digest": digest,
            "found": (found or DataSummary()).model_dump(mode="json"),
            "shards": sorted(shards),
            "slices": list(slices),
            "unusable_rows": unusable_rows,
            "count": count,
            "listing": listing,
        }
        writer.add_key_value_metadata({_METADATA: json.dumps(metadata)})
    summed = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            summed.update(piece)
    return summed.hexdigest()


def read(key: str, path: Path) -> Manifest:
    """Read the metadata of a manifest.

    Raises:
        DamagedError: it is not a manifest.
        NewerVersionError: a newer version wrote it.
    """
    import pyarrow.parquet as pq

    with damage(key):
        found = json.loads(pq.read_metadata(path).metadata[_METADATA.encode()])
        if found["format"] > _FORMAT:
            raise NewerVersionError(f"{key} was written by a newer version of Understudy; update this one")
        return Manifest(
            key=key,
            path=path,
            digest=found["digest"],
            settings=found["settings"],
            shards=frozenset((name, size, stamp, count) for name, size, stamp, count in found["shards"]),
            found=DataSummary.model_validate(found["found"]),
            slices=tuple(found["slices"]),
            unusable_rows=found["unusable_rows"],
            count=found["count"],
            listing=tuple(found["listing"]),
        )
