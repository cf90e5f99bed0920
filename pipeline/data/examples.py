"""The images of a snapshot, as the later steps of a run read them."""

import hashlib
from collections.abc import Sequence

from pipeline import layout
from pipeline.data.snapshot import manifests
from pipeline.data.snapshot.manifest_file import Manifest, damage
from pipeline.errors import DamagedError, FailedError, MissingError
from pipeline.runs.records import Example, SnapshotRecord
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.measurements import Split

_ADVICE = (
    "so this run cannot use it. Trigger a new run: its `snapshot` reads at the source again what is missing, and "
    "stores it again"
)


def examples_of(bucket: Bucket, model: str, data: SnapshotRecord, split: Split) -> list[Example]:
    """The images of a split, in the order of the contents of their files.

    Raises:
        FailedError: the bucket does not have the manifest any more, or it is damaged. The next snapshot repairs that.
        NewerVersionError: a newer version wrote it.
    """
    if not data.manifest:
        return [example for example in data.examples if example.split == split]
    try:
        with manifests.opened(bucket, data.manifest) as manifest, damage(data.manifest):
            return _read(manifest, split)
    except (DamagedError, MissingError) as error:
        name = data.manifest.rpartition("/")[2]
        bucket.create(layout.lost_note(model, name), b"")
        raise FailedError(f"{error}, {_ADVICE}") from error


def _read(manifest: Manifest, split: Split) -> list[Example]:
    import pyarrow.parquet as pq

    columns = ["digest", "stored", "suffix", "label"]
    found = pq.read_table(
        manifest.path, columns=columns, filters=[("split", "=", split)], page_checksum_verification=True
    ).sort_by("digest")
    values = (found.column(name).to_pylist() for name in columns[1:])
    return [
        Example(sha256=stored.hex(), suffix=suffix, label=label, split=split)
        for stored, suffix, label in zip(*values, strict=True)
    ]


def read_images(bucket: Bucket, model: str, examples: Sequence[Example]) -> list[bytes]:
    """The encoded images, in the order of the examples.

    Raises:
        FailedError: the bucket does not have one any more, or its content differs from the snapshot. The next snapshot
            stores it again.
    """
    keys = [layout.image(model, example.sha256, example.suffix) for example in examples]
    try:
        contents = bucket.read_all(keys)
    except MissingError as error:
        present = set(bucket.names(layout.images(model)))
        _note_lost(bucket, model, [each for each in examples if f"{each.sha256}{each.suffix}" not in present])
        raise FailedError(f"{error}, {_ADVICE}") from error
    for key, example, content in zip(keys, examples, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != example.sha256:
            _note_lost(bucket, model, [example])
            raise FailedError(f"the stored image {key} has changed, {_ADVICE}")
    return contents


def _note_lost(bucket: Bucket, model: str, examples: Sequence[Example]) -> None:
    """Note which images the next snapshot must store again, although it knows their files."""
    for example in examples:
        bucket.create(layout.lost_note(model, example.sha256), b"")
