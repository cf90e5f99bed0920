"""The images of a snapshot, as the later steps of a run read them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import layout
from pipeline.data.snapshot import manifests
from pipeline.data.snapshot.manifest_file import BATCH, Manifest, damage
from pipeline.errors import DamagedError, FailedError, MissingError
from pipeline.runs.records import SnapshotRecord
from pipeline.runs.rows import DIGEST_BYTES, Rows
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.measurements import Split

_ADVICE = (
    "so this run cannot use it. Trigger a new run: its `snapshot` reads at the source again what is missing, and "
    "stores it again"
)


# What is read of an image: the digest of its file, and those of `Rows`.
_Columns = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bytes_], NDArray[np.int32]]


def split_rows(bucket: Bucket, model: str, record: SnapshotRecord, split: Split) -> Rows:
    """The images of a split, in the order of the contents of their files. Memory: about 200 bytes for each.

    Raises:
        FailedError: the bucket does not have the manifest any more, or it is damaged. The next snapshot repairs that.
        NewerVersionError: a newer version wrote it.
    """
    if not record.manifest:
        return _rows_of_examples(record, split)
    try:
        with manifests.opened(bucket, record.manifest) as manifest, damage(record.manifest):
            return _read_rows(manifest, split, record.labels)
    except (DamagedError, MissingError) as error:
        name = record.manifest.rpartition("/")[2]
        bucket.create(layout.lost_note(model, name), b"")
        raise FailedError(f"{error}, {_ADVICE}") from error


def _rows_of_examples(record: SnapshotRecord, split: Split) -> Rows:
    number = {label: index for index, label in enumerate(record.labels)}
    found = [example for example in record.examples if example.split == split]
    return Rows(
        digests=_digests(bytes.fromhex(example.sha256) for example in found),
        suffixes=np.array([example.suffix for example in found], np.bytes_),
        classes=np.array([number[example.label] for example in found], np.int32),
    )


def _digests(digests: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)


def _read_rows(manifest: Manifest, split: Split, labels: Sequence[str]) -> Rows:
    number = {label: index for index, label in enumerate(labels)}
    parts = list(_columns(manifest, split, number))
    if not parts:
        return Rows(_digests([]), np.array([], np.bytes_), np.array([], np.int32))
    files, stored, suffixes, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(files.view(f"S{DIGEST_BYTES}").ravel(), kind="stable")
    return Rows(digests=stored[order], suffixes=suffixes[order], classes=classes[order])


def _columns(manifest: Manifest, split: Split, number: dict[str, int]) -> Iterator[_Columns]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["digest", "stored", "suffix", "label", "split"]
    with pq.ParquetFile(manifest.path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(BATCH, columns=columns):
            found: Any = batch.filter(pc.equal(batch["split"], split))
            if found.num_rows:
                yield (
                    _digests(found["digest"].to_pylist()),
                    _digests(found["stored"].to_pylist()),
                    np.array(found["suffix"].to_pylist(), np.bytes_),
                    np.array([number[label] for label in found["label"].to_pylist()], np.int32),
                )


def read_rows(bucket: Bucket, model: str, rows: Rows, positions: Sequence[int] | NDArray[np.integer]) -> list[bytes]:
    """The encoded images at these positions of the rows, in the order of the positions. All of them are in memory.

    Raises:
        FailedError: the bucket does not have one any more, or its content differs from the snapshot. The next snapshot
            stores it again.
    """
    names = rows.names(positions)
    keys = [layout.image(model, digest, suffix) for digest, suffix in names]
    try:
        contents = bucket.read_all(keys)
    except MissingError as error:
        present = set(bucket.names(layout.images(model)))
        _note_lost(bucket, model, [digest for digest, suffix in names if f"{digest}{suffix}" not in present])
        raise FailedError(f"{error}, {_ADVICE}") from error
    for key, (digest, _), content in zip(keys, names, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != digest:
            _note_lost(bucket, model, [digest])
            raise FailedError(f"the stored image {key} has changed, {_ADVICE}")
    return contents


def _note_lost(bucket: Bucket, model: str, digests: Iterable[str]) -> None:
    """Note which images the next snapshot must store again, although it knows their files."""
    for digest in digests:
        bucket.create(layout.lost_note(model, digest), b"")
