"""Images that look alike are in one split, whatever the encoding; given splits; and what contradicts them."""

import hashlib
from pathlib import Path

import pytest

from pipeline.data.snapshot.splits import split_of
from pipeline.storage.local import LocalBucket
from tests.pipeline.data.pictures import encoded, photograph, png, write_old
from tests.pipeline.data.snapshots import rows, snapshot, spec, splits


def quality_that_would_be_elsewhere(seed: int, folder: Path, split: object) -> bytes:
    """A JPEG of a photograph whose own content would put it into another split."""
    for quality in range(80, 101):
        content = encoded(photograph(seed), "JPEG", quality=quality)
        if split_of(hashlib.sha256(content).hexdigest(), spec(folder).data) != split:
            return content
    raise AssertionError("no quality between 80 and 100 does")


@pytest.mark.parametrize("seed", range(2))
def test_a_new_image_that_looks_like_an_older_one_joins_its_split(bucket: LocalBucket, folder: Path, seed: int) -> None:
    write_old(folder / "cat" / "photograph.png", encoded(photograph(seed)))
    split = splits(bucket, snapshot(bucket, spec(folder)))["cat/photograph.png"]
    write_old(folder / "cat" / "again.jpg", quality_that_would_be_elsewhere(seed, folder, split))
    found = snapshot(bucket, spec(folder), day=1)
    again = next(row for row in rows(bucket, found) if row["name"] == "cat/again.jpg")

    assert (split, 1) == (again["split"], found.found.near_duplicates)
    assert f"looks like {folder}/cat/photograph.png ({split})" == again["note"]


def test_it_stays_there_when_the_older_one_is_gone(bucket: LocalBucket, folder: Path) -> None:
    write_old(folder / "cat" / "photograph.png", encoded(photograph(1)))
    split = splits(bucket, snapshot(bucket, spec(folder)))["cat/photograph.png"]
    write_old(folder / "cat" / "again.jpg", quality_that_would_be_elsewhere(1, folder, split))
    snapshot(bucket, spec(folder), day=1)
    (folder / "cat" / "photograph.png").unlink()
    (folder / "cat" / "again.jpg").rename(folder / "cat" / "renamed.jpg")

    assert split == splits(bucket, snapshot(bucket, spec(folder), day=2))["cat/renamed.jpg"]


def test_of_many_new_images_that_look_alike_all_are_in_one_split(bucket: LocalBucket, folder: Path) -> None:
    """Whatever their order is: the first one by content decides."""
    for quality in range(70, 100):
        write_old(folder / "cat" / f"{quality}.jpg", encoded(photograph(3), "JPEG", quality=quality))
    found = snapshot(bucket, spec(folder))

    assert 1 == len({row["split"] for row in rows(bucket, found) if str(row["name"]).endswith(".jpg")})
    assert 29 == found.found.near_duplicates


def between_two_splits(bucket: LocalBucket, folder: Path) -> dict[str, object]:
    """Add an image that looks like two older ones, which are in two splits; the splits of the older ones.

    They can be in two where near-duplicates were not looked for before.
    """
    write_old(folder / "cat" / "one.png", encoded(photograph(5)))
    first = splits(bucket, snapshot(bucket, spec(folder, near_duplicates=None)))["cat/one.png"]
    write_old(folder / "cat" / "two.jpg", quality_that_would_be_elsewhere(5, folder, first))
    apart = splits(bucket, snapshot(bucket, spec(folder, near_duplicates=None), day=1))
    assert apart["cat/one.png"] != apart["cat/two.jpg"]
    write_old(folder / "cat" / "three.jpg", encoded(photograph(5), "JPEG", quality=85))
    return apart


def test_an_image_that_looks_like_images_of_several_splits_is_left_out(bucket: LocalBucket, folder: Path) -> None:
    apart = between_two_splits(bucket, folder)
    found = snapshot(bucket, spec(folder), day=2)
    three = next(row for row in rows(bucket, found) if row["name"] == "cat/three.jpg")

    assert (None, "left out", 1) == (three["split"], three["status"], found.found.left_out)
    assert f"{folder}/cat/one.png" in str(three["note"])
    assert f"{folder}/cat/two.jpg" in str(three["note"])
    assert apart.items() <= splits(bucket, found).items()


def test_what_was_left_out_is_used_when_its_look_alikes_are_gone(bucket: LocalBucket, folder: Path) -> None:
    between_two_splits(bucket, folder)
    snapshot(bucket, spec(folder), day=2)
    (folder / "cat" / "two.jpg").unlink()
    found = splits(bucket, snapshot(bucket, spec(folder), day=3))

    assert found["cat/one.png"] == found["cat/three.jpg"]


def test_other_photographs_and_small_pictures_are_no_near_duplicates(bucket: LocalBucket, folder: Path) -> None:
    for seed in range(100, 160):
        write_old(folder / "cat" / f"photograph {seed}.png", encoded(photograph(seed)))
    for shade in range(200, 230):
        write_old(folder / "dog" / f"{shade}.png", png(shade, (63, 63)))

    assert 0 == snapshot(bucket, spec(folder)).found.near_duplicates


def test_none_are_looked_for_if_the_model_file_says_so(bucket: LocalBucket, folder: Path) -> None:
    for quality in range(70, 100):
        write_old(folder / "cat" / f"{quality}.jpg", encoded(photograph(3), "JPEG", quality=quality))
    found = snapshot(bucket, spec(folder, near_duplicates=None))

    assert 0 == found.found.near_duplicates
    assert len({row["split"] for row in rows(bucket, found) if str(row["name"]).endswith(".jpg")}) > 1


def given_folders(folder: Path, *splits_: str) -> Path:
    for number, split in enumerate(splits_):
        for label, first in {"cat": 0, "dog": 128}.items():
            for shade in range(first + 40 * number, first + 40 * number + 30):
                write_old(folder / split / label / f"{shade}.png", png(shade))
    return folder


def test_given_splits_are_used_as_they_are(bucket: LocalBucket, tmp_path: Path) -> None:
    folder = given_folders(tmp_path / "given", "train", "val", "test")
    found = snapshot(bucket, spec(folder, splits="given"))

    assert {"train": 60, "val": 60, "test": 60} == {
        name: sum(row["split"] == split for row in rows(bucket, found) if str(row["name"]).startswith(f"{name}/"))
        for name, split in {"train": "train", "val": "validation", "test": "holdout"}.items()
    }


def test_the_only_split_beside_train_is_held_out_and_validation_is_taken_from_train(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    """The gate needs images that training never sees."""
    folder = given_folders(tmp_path / "given", "train", "val")
    found = splits(bucket, snapshot(bucket, spec(folder, splits="given", validation=0.2)))

    assert {"holdout"} == {split for name, split in found.items() if name.startswith("val/")}
    assert {"train", "validation"} == {split for name, split in found.items() if name.startswith("train/")}
    assert 4 < sum(split == "validation" for split in found.values()) < 22


def test_an_image_that_is_given_for_one_split_and_looks_like_one_of_another_is_left_out(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    folder = given_folders(tmp_path / "given", "train", "test")
    write_old(folder / "test" / "cat" / "one.png", encoded(photograph(3)))
    snapshot(bucket, spec(folder, splits="given"))
    write_old(folder / "train" / "cat" / "two.jpg", encoded(photograph(3), "JPEG", quality=90))
    found = snapshot(bucket, spec(folder, splits="given"), day=1)
    two = next(row for row in rows(bucket, found) if row["name"] == "train/cat/two.jpg")

    assert ("left out", f"is given for train, and looks like {folder}/test/cat/one.png (holdout)") == (
        two["status"],
        two["note"],
    )


def test_one_image_that_is_given_in_two_splits_is_unusable_with_both_paths(bucket: LocalBucket, tmp_path: Path) -> None:
    folder = given_folders(tmp_path / "given", "train", "test")
    write_old(folder / "test" / "cat" / "copy.png", png(0))
    found = snapshot(bucket, spec(folder, splits="given", checks={"unusable": 0.1}))
    notes = {row["name"]: row["note"] for row in rows(bucket, found) if row["status"] == "unusable"}

    assert {"test/cat/copy.png", "train/cat/0.png"} == set(notes)
    assert str(notes["train/cat/0.png"]).startswith(
        f"is the same image as {folder}/test/cat/copy.png, which is given for"
    )
