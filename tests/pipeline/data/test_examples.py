"""The images of a split as arrays, and their contents."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline import layout
from pipeline.data.examples import read_rows, split_rows
from pipeline.errors import FailedError
from pipeline.runs.records import Example, SnapshotRecord
from tests.pipeline.data.pictures import png
from tests.pipeline.data.snapshots import CountingBucket, record, snapshot, spec
from tests.pipeline.data.snapshots import rows as manifest_rows


def test_rows_are_those_of_the_split_in_the_manifest_in_the_order_of_their_contents(
    bucket: CountingBucket, folder: Path
) -> None:
    found = snapshot(bucket, spec(folder))
    listed = [
        (bytes(row["stored"]).hex(), row["suffix"], row["label"])  # type: ignore[call-overload]
        for row in sorted(manifest_rows(bucket, found), key=lambda row: row["digest"])  # type: ignore[arg-type, return-value]
        if row["split"] == "train"
    ]
    rows = split_rows(bucket, "digits", record(found), "train")
    labels = [record(found).labels[number] for number in rows.classes]

    assert listed == [(*name, label) for name, label in zip(rows.names(range(len(rows))), labels, strict=True)]
    assert {"cat", "dog"} == set(labels)
    assert ["uint8", "int32"] == [str(array.dtype) for array in (rows.digests, rows.classes)]


def test_rows_of_a_record_with_examples(bucket: CountingBucket) -> None:
    """Records from before 2026-12."""
    contents = sorted((png(shade) for shade in range(4)), key=lambda content: hashlib.sha256(content).digest())
    examples = tuple(
        Example(sha256=hashlib.sha256(each).hexdigest(), suffix=".png", label="ba"[at % 2], split="train")
        for at, each in enumerate(contents)
    )
    old = SnapshotRecord(digest="d", labels=("a", "b"), examples=examples)
    for each, content in zip(examples, contents, strict=True):
        bucket.create(layout.image("digits", each.sha256, each.suffix), content)
    rows = split_rows(bucket, "digits", old, "train")

    assert [1, 0, 1, 0] == rows.classes.tolist()
    assert [contents[2], contents[0]] == read_rows(bucket, "digits", rows, [2, 0])


def test_a_split_without_images_has_no_rows(bucket: CountingBucket, folder: Path) -> None:
    found = record(snapshot(bucket, spec(folder, splits="content", validation=0.0001)))
    rows = split_rows(bucket, "digits", found, "validation")

    assert 0 == len(rows)
    assert (0, 32) == rows.digests.shape
    assert [] == read_rows(bucket, "digits", rows, [])


def test_an_image_that_is_missing_or_changed_is_noted_for_the_next_snapshot(
    bucket: CountingBucket, folder: Path
) -> None:
    found = record(snapshot(bucket, spec(folder)))
    rows = split_rows(bucket, "digits", found, "train")
    (missing, suffix), (changed, _) = rows.names([3, 5])
    root = Path(bucket.uri())
    (root / layout.image("digits", missing, suffix)).unlink()
    (root / layout.image("digits", changed, suffix)).write_bytes(b"something else")

    with pytest.raises(FailedError, match=r"does not exist, so this run cannot use it\. Trigger a new run"):
        read_rows(bucket, "digits", rows, np.array([2, 3]))
    with pytest.raises(FailedError, match=rf"{changed}\.png has changed"):
        read_rows(bucket, "digits", rows, np.array([4, 5]))
    assert sorted([missing, changed]) == bucket.names(layout.all_lost("digits"))


def test_a_manifest_that_is_damaged_is_noted_for_the_next_snapshot(bucket: CountingBucket, folder: Path) -> None:
    found = record(snapshot(bucket, spec(folder)))
    (Path(bucket.uri(found.manifest)) / "images.parquet").write_bytes(b"damaged")

    with pytest.raises(FailedError, match="is not a manifest of images, or is damaged"):
        split_rows(bucket, "digits", found, "train")
    assert [found.manifest.rpartition("/")[2]] == bucket.names(layout.all_lost("digits"))
