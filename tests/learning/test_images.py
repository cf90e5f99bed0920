"""Where images come from, how they are frozen, and which split each is in."""

import hashlib
import io
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import layout
from pipeline.errors import BadInputError, FailedError
from pipeline.learning.images import import_images, read_images, split_of
from pipeline.spec import Data, ModelSpec
from pipeline.storage.local import LocalBucket
from tests.releases import SPEC


def spec(images: Path | str) -> ModelSpec:
    return SPEC.model_copy(update={"data": Data(images=str(images), holdout=0.3)})


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), shade).save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, shades in {"cat": range(40), "dog": range(100, 140)}.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for shade in shades:
            (tmp_path / "images" / label / f"{shade}.png").write_bytes(png(shade))
    return tmp_path / "images"


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    (tmp_path / "bucket").mkdir()
    return LocalBucket(tmp_path / "bucket")


def test_a_folder_per_label_becomes_a_manifest_and_images_in_the_bucket(bucket: LocalBucket, folder: Path) -> None:
    data = import_images(bucket, spec(folder))

    assert ("cat", "dog") == data.labels
    assert 80 == len(data.examples)
    assert {"train", "validation", "holdout"} == {example.split for example in data.examples}
    assert png(0) in read_images(bucket, "digits", [example for example in data.examples if example.label == "cat"])


def test_the_same_images_make_the_same_digest_and_a_new_one_another(bucket: LocalBucket, folder: Path) -> None:
    first = import_images(bucket, spec(folder)).digest
    assert first == import_images(bucket, spec(folder)).digest

    (folder / "cat" / "new.png").write_bytes(png(77))
    assert first != import_images(bucket, spec(folder)).digest


def test_an_image_keeps_its_split_when_data_comes(bucket: LocalBucket, folder: Path) -> None:
    """F20: what was held out is held out for ever, so models of different days are comparable and nothing leaks."""
    before = {e.sha256: e.split for e in import_images(bucket, spec(folder)).examples}
    for shade in range(200, 240):
        (folder / "dog" / f"{shade}.png").write_bytes(png(shade))
    after = {e.sha256: e.split for e in import_images(bucket, spec(folder)).examples}

    assert before == {digest: after[digest] for digest in before}


@given(st.binary(min_size=32, max_size=32))
def test_every_image_has_exactly_one_split(digest: bytes) -> None:
    assert split_of(digest.hex(), Data(images="x")) in ("train", "validation", "holdout")


def test_splits_have_about_the_shares_asked_for() -> None:
    data = Data(images="x", validation=0.1, holdout=0.25)
    counts = Counter(split_of(hashlib.sha256(str(number).encode()).hexdigest(), data) for number in range(20_000))

    assert 0.25 == pytest.approx(counts["holdout"] / 20_000, abs=0.01)
    assert 0.10 == pytest.approx(counts["validation"] / 20_000, abs=0.01)


def test_one_image_under_two_labels_is_refused(bucket: LocalBucket, folder: Path) -> None:
    (folder / "dog" / "cat.png").write_bytes(png(3))

    with pytest.raises(BadInputError, match="one image is in two folders, 'cat' and 'dog'"):
        import_images(bucket, spec(folder))


@pytest.mark.parametrize(
    ("told", "images"),
    [("is not a folder", "/nowhere/at/all"), ("there is builtin:digits", "builtin:letters")],
)
def test_a_source_that_is_not_there_is_named(bucket: LocalBucket, told: str, images: str) -> None:
    with pytest.raises(BadInputError, match=told):
        import_images(bucket, spec(images))


def test_too_few_images_of_a_label_are_refused(bucket: LocalBucket, folder: Path) -> None:
    (folder / "rat").mkdir()
    (folder / "rat" / "only.png").write_bytes(png(250))

    with pytest.raises(BadInputError, match="label 'rat' has no image in the"):
        import_images(bucket, spec(folder))


@pytest.mark.parametrize(("told", "name"), [("is not one of .png", "a.bmp"), ("is no readable PNG or JPEG", "a.png")])
def test_a_file_that_cannot_be_used_is_named_before_training(
    bucket: LocalBucket, folder: Path, told: str, name: str
) -> None:
    (folder / "cat" / name).write_bytes(b"not what it says")

    with pytest.raises(BadInputError, match=told):
        import_images(bucket, spec(folder))


def test_an_image_that_changed_in_the_bucket_is_not_used(bucket: LocalBucket, folder: Path, tmp_path: Path) -> None:
    data = import_images(bucket, spec(folder))
    example = data.examples[0]
    (tmp_path / "bucket" / layout.image("digits", example.sha256, example.suffix)).write_bytes(b"something else")

    with pytest.raises(FailedError, match="has changed since it was stored"):
        read_images(bucket, "digits", [example])


def test_the_builtin_digits_are_real_image_files(bucket: LocalBucket) -> None:
    data = import_images(bucket, spec("builtin:digits"))
    example = data.examples[0]

    assert 1797 == len(data.examples)
    assert tuple("0123456789") == data.labels
    with Image.open(io.BytesIO(read_images(bucket, "digits", [example])[0])) as image:
        assert ("PNG", (8, 8)) == (image.format, image.size)


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_stored(
    bucket: LocalBucket, folder: Path, tmp_path: Path
) -> None:
    strange = Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    strange.mkdir()
    (strange / "1.png").write_bytes(png(99))

    with pytest.raises(BadInputError, match=r"the name of the folder b'\\xff' in .* is not UTF-8"):
        import_images(bucket, spec(folder))
    assert [] == list((tmp_path / "bucket").iterdir())


@pytest.mark.parametrize("label", ["Pepper,_bell", "cat's", "$x", "e\u0301", "😀", ".hidden", "new\nline", "x" * 255])
def test_any_other_folder_is_a_label(bucket: LocalBucket, folder: Path, label: str) -> None:
    (folder / "cat").rename(folder / label)

    assert tuple(sorted(["dog", label])) == import_images(bucket, spec(folder)).labels
