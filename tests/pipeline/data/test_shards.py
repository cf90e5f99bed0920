"""Snapshots of sources that keep many images in one file, of manifests, and of stores."""

import hashlib
import os
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.snapshot import parts
from pipeline.errors import FailedError, StorageError
from tests.pipeline.data.pictures import encoded, photograph, png, write_classes, write_old
from tests.pipeline.data.snapshots import CountingBucket, contents_of, rows, snapshot, spec, splits, stored_files
from tests.pipeline.data.sources.test_tfrecord import example, framed


def write_shard(path: Path, label: str, shades: range, *extra: bytes) -> None:
    images = [framed(example(image=png(shade), label=label.encode(), camera=b"north")) for shade in shades]
    write_old(path, b"".join([*images, *extra]))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write_shard(tmp_path / "shards" / "a-00000-of-00002", "cat", range(40))
    write_shard(tmp_path / "shards" / "a-00001-of-00002", "dog", range(100, 140))
    return tmp_path / "shards"


def test_the_images_of_shards_are_those_of_a_folder_with_the_same_files(
    bucket: CountingBucket, shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    folder = snapshot(CountingBucket(tmp_path / "other"), spec(write_classes(tmp_path / "images")))
    found = snapshot(bucket, spec(shards))

    assert folder.digest == found.digest
    assert folder.found == found.found
    assert "a-00000-of-00002#000000007" in splits(bucket, found)


def test_a_shard_that_has_not_changed_is_not_read(bucket: CountingBucket, shards: Path) -> None:
    first = snapshot(bucket, spec(shards))
    assert first == snapshot(bucket, spec(shards), day=1)

    write_shard(shards / "b.tfrecord", "dog", range(200, 220))
    second = snapshot(bucket, spec(shards), day=2)
    assert (100, 100) == (second.found.images(), bucket.stored)
    assert splits(bucket, first).items() < splits(bucket, second).items()

    (shards / "a-00000-of-00002").rename(shards / "c.tfrecord")
    third = snapshot(bucket, spec(shards), day=3)
    assert second.digest == third.digest
    assert 140 == bucket.stored, "the renamed one is read again, and stored already"


def test_a_shard_that_was_interrupted_is_read_again_and_those_before_it_are_not(
    bucket: CountingBucket, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", 10)
    bucket.fails_after = 65
    with pytest.raises(StorageError):
        snapshot(bucket, spec(shards))
    bucket.stored, bucket.fails_after = 0, 10**9

    assert 80 == snapshot(bucket, spec(shards), day=1).found.images()
    assert 40 == bucket.stored


def test_a_shard_that_ends_too_early_is_named_and_read_again(bucket: CountingBucket, shards: Path) -> None:
    lenient = spec(shards, checks={"unusable": 0.1})
    write_shard(shards / "b.tfrecord", "dog", range(200, 210), framed(example(image=png(9), label=b"dog"))[:-20])
    found = snapshot(bucket, lenient)
    stored = bucket.stored
    again = snapshot(bucket, lenient, day=1)

    assert (90, 1) == (found.found.images(), found.found.unusable)
    assert (found.digest, found.found) == (again.digest, again.found)
    assert 10 == bucket.stored - stored


def test_an_image_of_a_shard_that_was_lost_is_stored_again(bucket: CountingBucket, shards: Path) -> None:
    found = snapshot(bucket, spec(shards))
    before = contents_of(bucket, found)
    stored_files(bucket, found)[5].unlink()
    with pytest.raises(FailedError, match="Trigger a new run"):
        contents_of(bucket, found)

    assert found.digest == snapshot(bucket, spec(shards), day=1).digest
    assert before == contents_of(bucket, found)


def test_slices_are_columns_of_the_manifest_and_part_of_the_data(bucket: CountingBucket, shards: Path) -> None:
    without = snapshot(bucket, spec(shards))
    found = snapshot(bucket, spec(shards, slices=["camera"]), day=1)

    assert {"north"} == {row["slice.camera"] for row in rows(bucket, found)}
    assert without.digest != found.digest
    assert found == snapshot(bucket, spec(shards, slices=["camera"]), day=2)


def test_a_manifest_may_change_a_label_without_a_read_of_the_image(bucket: CountingBucket, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for shade in range(80):
        write_old(folder / f"{shade}.png", png(shade))
    lines = [f"{shade}.png,{'cat' if shade < 40 else 'dog'},day" for shade in range(80)]
    write_old(folder / "labels.csv", "\n".join(["path,label,light", *lines]).encode())
    model = spec(folder / "labels.csv", slices=["light"])
    first = snapshot(bucket, model)
    assert first == snapshot(bucket, model, day=1)

    changed = [line.replace("7.png,cat,day", "7.png,dog,night") for line in lines]
    write_old(folder / "labels.csv", "\n".join(["path,label,light", *changed]).encode())
    second = snapshot(bucket, model, day=2)
    row = next(row for row in rows(bucket, second) if row["name"] == "7.png")
    assert ("dog", "night", 80) == (row["label"], row["slice.light"], bucket.stored)
    assert splits(bucket, first) == splits(bucket, second)
    assert first.digest != second.digest


def test_the_digits_are_the_data_of_earlier_releases(bucket: CountingBucket) -> None:
    """Baselines, and runs that were decided, are named by this digest."""
    model = spec("builtin:digits", holdout=0.25)
    found = snapshot(bucket, model)

    assert (1797, 10) == (found.found.images(), len(found.found.counts))
    assert "0492efaf6d1ff760f2a23ce4846fdf9fca5c106311defb0fc36a617498fe5b3f" == found.digest
    assert found == snapshot(bucket, model, day=1)


def test_a_converted_image_is_stored_once_under_its_own_content(bucket: CountingBucket, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for shade in range(40):
        write_old(folder / "cat" / f"{shade}.png", png(shade))
        write_old(folder / "dog" / f"{shade}.bmp", encoded(photograph(shade), "BMP"))
    found = snapshot(bucket, spec(folder))
    row = next(row for row in rows(bucket, found) if row["name"] == "dog/3.bmp")
    original, stored = bytes(row["digest"]), bytes(row["stored"])  # type: ignore[call-overload]

    assert 40 == found.found.converted
    assert hashlib.sha256((folder / "dog" / "3.bmp").read_bytes()).digest() == original
    content = bucket.read(layout.image("digits", stored.hex(), ".png"))
    assert hashlib.sha256(content).digest() == stored
    assert original != stored
    assert content in contents_of(bucket, found, row["split"])  # type: ignore[arg-type]
    os.utime(folder / "dog" / "3.bmp", (1e9, 1e9))
    assert found.digest == snapshot(bucket, spec(folder), day=1).digest
