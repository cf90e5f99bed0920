"""Where images come from, how they are frozen, and which split each is in."""

import hashlib
import io
import logging
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import layout
from pipeline.data.images import import_images, read_images, split_of
from pipeline.errors import BadInputError, FailedError
from pipeline.spec import Data, ModelSpec
from pipeline.storage.local import LocalBucket
from tests.releases import SPEC


def spec(images: Path | str) -> ModelSpec:
    return SPEC.model_copy(update={"data": Data(images=str(images), holdout=0.3)})


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), shade).save(stream, format="PNG")
    return stream.getvalue()


def encoded(kind: str, *, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    stream = io.BytesIO()
    picture = Image.effect_noise(size, 60).convert(mode) if mode != "1" else Image.new("1", size)
    picture.save(stream, format=kind)
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

    with pytest.raises(BadInputError, match=r"in two folders, 'cat' and 'dog': .*/cat/3\.png and .*/dog/cat\.png"):
        import_images(bucket, spec(folder))


@pytest.mark.parametrize(
    ("told", "images"),
    [
        ("/nowhere/at/all is not a folder", "/nowhere/at/all"),
        ("the only one is builtin:digits", "builtin:letters"),
        ("gs://pets/images is not a folder of this machine", "gs://pets/images"),
    ],
)
def test_a_source_that_is_not_there_is_named(bucket: LocalBucket, told: str, images: str) -> None:
    with pytest.raises(BadInputError, match=told):
        import_images(bucket, spec(images))


def test_too_few_images_of_a_label_are_refused(bucket: LocalBucket, folder: Path) -> None:
    (folder / "rat").mkdir()
    (folder / "rat" / "only.png").write_bytes(png(250))

    with pytest.raises(BadInputError, match="label 'rat' has no image in the"):
        import_images(bucket, spec(folder))


@pytest.mark.parametrize(
    ("told", "name", "content"),
    [
        ("is not one of .png", "a.bmp", b"any"),
        ("is not a PNG, JPEG, WebP, BMP, GIF or TIFF image", "a.png", b"not what it says"),
        (r"is empty \(0 bytes\)", "a.jpg", b""),
        ("is cut off", "a.png", encoded("PNG")[:-1]),
        ("is cut off", "a.png", encoded("PNG")[:-8]),
        ("is cut off", "a.jpg", encoded("JPEG")[:-1]),
        ("is cut off", "a.jpg", encoded("JPEG")[:-200]),
        ("is too large", "a.png", encoded("PNG", mode="1", size=(16_000, 16_000))),
    ],
)
def test_a_file_that_cannot_be_used_is_named_before_training(
    bucket: LocalBucket, folder: Path, told: str, name: str, content: bytes
) -> None:
    (folder / "cat" / name).write_bytes(content)

    with pytest.raises(BadInputError, match=f"data.images: {folder}/cat/{name} {told}"):
        import_images(bucket, spec(folder))


def test_a_path_that_holds_no_image_is_named(bucket: LocalBucket, folder: Path) -> None:
    (folder / "cat" / "album.png").mkdir()
    (folder / "dog" / "gone.png").symlink_to("/nowhere/at/all.png")

    with pytest.raises(BadInputError) as raised:
        import_images(bucket, spec(folder))
    assert f"{folder}/cat/album.png is a folder" in str(raised.value)
    assert f"{folder}/dog/gone.png cannot be read: No such file or directory" in str(raised.value)


def test_all_bad_files_are_named_at_once_and_nothing_is_recorded(bucket: LocalBucket, folder: Path) -> None:
    for number in range(60):
        (folder / "cat" / f"bad {number:02}.png").write_bytes(encoded("PNG")[:-4])

    with pytest.raises(BadInputError) as raised:
        import_images(bucket, spec(folder))
    first, *lines = str(raised.value).splitlines()
    assert "data.images: 60 problems:" == first
    assert [f"  {folder}/cat/bad {number:02}.png" for number in range(50)] == [
        line.partition(" is cut off")[0] for line in lines[:-1]
    ]
    assert "  and 10 more" == lines[-1]


def test_an_image_in_the_bucket_is_not_decoded_again(
    bucket: LocalBucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = import_images(bucket, spec(folder))
    # A decoder that fails for everything.
    monkeypatch.setattr(Image, "open", None)

    assert first.examples == import_images(bucket, spec(folder)).examples


def test_what_systems_and_tools_leave_behind_is_skipped(
    bucket: LocalBucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    expected = import_images(bucket, spec(folder))
    for name in (".ipynb_checkpoints", ".cache", "__MACOSX", "@eaDir"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(png(222))
    for name in ("Thumbs.db", "desktop.ini", "._1.png", ".DS_Store"):
        (folder / "cat" / name).write_bytes(b"any")
    (folder / "cat" / ".ipynb_checkpoints").mkdir()

    assert expected.examples == import_images(bucket, spec(folder)).examples
    assert f"{folder}: skipped .cache, .ipynb_checkpoints, @eaDir, __MACOSX" in caplog.text


def test_images_without_a_folder_of_their_label_are_refused(bucket: LocalBucket, folder: Path) -> None:
    with pytest.raises(BadInputError, match="holds 40 images and no folders; move the images of each label"):
        import_images(bucket, spec(folder / "cat"))


def test_folders_one_level_too_deep_are_refused(bucket: LocalBucket, folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"images holds folders \(cat, \.\.\.\) and no images"):
        import_images(bucket, spec(folder.parent))


def test_an_image_that_changed_in_the_bucket_is_not_used(bucket: LocalBucket, folder: Path, tmp_path: Path) -> None:
    data = import_images(bucket, spec(folder))
    example = data.examples[0]
    (tmp_path / "bucket" / layout.image("digits", example.sha256, example.suffix)).write_bytes(b"something else")

    with pytest.raises(FailedError, match="has changed, so this run cannot use it"):
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


@pytest.mark.parametrize("label", ["Pepper,_bell", "cat's", "$x", "e\u0301", "😀", "new\nline", "x" * 255])
def test_any_other_folder_is_a_label(bucket: LocalBucket, folder: Path, label: str) -> None:
    (folder / "cat").rename(folder / label)

    assert tuple(sorted(["dog", label])) == import_images(bucket, spec(folder)).labels
