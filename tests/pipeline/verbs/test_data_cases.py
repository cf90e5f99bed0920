"""Folders of images as people have them, through the verb `snapshot`: what it takes, what it skips, what it refuses."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import layout
from pipeline.errors import BadInputError
from pipeline.runs.records import SnapshotRecord
from pipeline.verbs.check import check
from pipeline.verdicts.measurements import DataSummary
from tests import pictures
from tests.pictures import encoded, noise
from tests.pipeline.data.pictures import png
from tests.pipeline.verbs.repeated_runs import draw_images, world_of
from tests.releases import MODEL, World

LABELS = (
    "Corn_(maize)___rust",
    "Pepper,_bell",
    "dog & cat",
    "cat's",
    "$x",
    "e\u0301te\u0301",
    "x" * 200,
    "new\nline",
    "日本語",
    "=1+1",
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two labels, 40 images each."""
    return draw_images(tmp_path / "images")


@pytest.fixture
def world(tmp_path: Path, images: Path) -> World:
    return world_of(tmp_path, images)


def edit(world: World, **data: Any) -> None:
    path = world.folder / f"{MODEL}.yaml"
    content = json.loads(path.read_text())
    content["data"] |= data
    path.write_text(json.dumps(content))


def snapshot(world: World, key: str = "retrain-1", **data: Any) -> SnapshotRecord:
    edit(world, **data)
    made = world.run("snapshot", key)
    assert isinstance(made, SnapshotRecord)
    return made


def figures(record: SnapshotRecord) -> DataSummary:
    assert record.found is not None
    return record.found


def refuses(world: World, *facts: str, **data: Any) -> None:
    """`snapshot` and `check` both say all of it."""
    with pytest.raises(BadInputError) as raised:
        snapshot(world, **data)
    with pytest.raises(BadInputError) as checked:
        check(world.folder / f"{MODEL}.yaml")
    for fact in facts:
        assert fact in str(raised.value)
        assert fact in str(checked.value)


def write(folder: Path, *names: str, first: int = 0) -> None:
    """A picture of a shade of its own for each name, from the first one."""
    for shade, name in enumerate(names, start=first):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(shade))


def test_any_label_is_taken_as_it_is(world: World, tmp_path: Path) -> None:
    """From training to MLflow and the exported model: `tests/pipeline/tracking/test_tracked_run.py`."""
    for number, label in enumerate(LABELS):
        folder = tmp_path / "plants" / label
        write(folder, *(f"{each}.png" for each in range(20)), first=25 * number)
    record = snapshot(world, images=str(tmp_path / "plants"))

    assert sorted(LABELS) == list(record.labels)
    assert dict.fromkeys(LABELS, 20) == figures(record).totals()


def test_what_systems_and_tools_leave_is_skipped_and_said_once(
    world: World, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    digest = snapshot(world).digest
    write(images, *(f"{name}/1.png" for name in (".ipynb_checkpoints", ".cache", "__MACOSX", "@eaDir")))
    write(images, "cat/Thumbs.db", "cat/desktop.ini", "cat/._x.jpg", "cat/.DS_Store", "Thumbs.db")
    caplog.clear()
    again = snapshot(world, "retrain-2")

    assert (digest, ("cat", "dog"), 0) == (again.digest, again.labels, figures(again).unusable)
    assert 1 == caplog.text.count("skipped 9 hidden or system files and folders")


def test_every_picture_that_cannot_be_used_is_refused_by_its_path_at_once(world: World, images: Path) -> None:
    jpeg = encoded(noise(), "JPEG")
    scan = jpeg.index(b"\xff\xda") + 40
    bad = {
        "end never arrived.jpg": jpeg[: len(jpeg) // 2],
        "corrupt scan.jpg": jpeg[:scan] + b"\xff" * 30 + jpeg[scan + 30 :],
        "no picture.png": b"<html>sign in</html>",
        "empty.png": b"",
        "bomb.png": pictures.png_bomb(),
        "bomb.jpg": pictures.jpeg_bomb(),
        "12 of 16 bits.png": encoded(noise("L").convert("I").point(lambda value: value * 16).convert("I;16"), "PNG"),
    }
    for name, content in bad.items():
        (images / "cat" / name).write_bytes(content)
    too_large = "is too large: its header claims 400,000,000 pixels"

    refuses(world, f"{len(bad)} problems:\n", *(f"\n  {images}/cat/{name} " for name in bad))
    refuses(world, f"{images}/cat/bomb.png {too_large}", f"{images}/cat/bomb.jpg {too_large}")


def test_pictures_of_every_kind_are_kept_or_converted_by_one_rule(world: World, images: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = {"grey.png": encoded(noise("L"), "PNG"), "colour.png": encoded(noise("RGB"), "PNG")}
    converted = {
        "cmyk.jpg": encoded(noise("CMYK", seed=1), "JPEG"),
        "16 bits.png": encoded(noise("L", seed=2).convert("I").point(lambda value: value * 257).convert("I;16"), "PNG"),
        "transparent.png": encoded(noise("RGBA", seed=3), "PNG"),
        "palette.png": encoded(noise("P", seed=4), "PNG", transparency=3),
        "rotated.jpg": encoded(noise("RGB", seed=5), "JPEG", exif=exif),
        "photograph.webp": encoded(noise("RGB", seed=6), "WEBP"),
    }
    for name, content in (kept | converted).items():
        (images / "cat" / name).write_bytes(content)
    record = snapshot(world)
    stored = world.context("look-0").bucket.names(layout.images(MODEL))

    assert (88, len(converted), 0) == (figures(record).images(), figures(record).converted, figures(record).unusable)
    assert 88 == len(stored)
    assert {".png", ".jpg"} == {Path(name).suffix for name in stored}


def test_what_cannot_be_reached_is_named_by_path(world: World, images: Path, tmp_path: Path) -> None:
    """A file that vanishes while it is read: `tests/pipeline/data/sources/test_folders.py`."""
    (images / "cat" / "gone.png").symlink_to("nowhere.png")
    write(tmp_path, "elsewhere/1.png")
    (images / "rat").symlink_to(tmp_path / "elsewhere")
    write(Path(os.fsdecode(os.fsencode(images) + b"/caf\xe9")), "1.png")
    write(images, "cat/album.png/1.png", first=200)

    refuses(
        world,
        "3 problems:\n",
        f"{images}/cat/gone.png is a",
        f"{images}/rat is a link to {tmp_path}/elsewhere, outside",
        f"{images}/caf\\xe9 has a name that is not UTF-8; rename it",
    )


def test_a_class_that_is_empty_for_a_moment_is_refused_by_name_where_a_classifier_needs_it(
    world: World, images: Path
) -> None:
    """Where others remain, the gate declines: `tests/pipeline/verbs/test_relabelling.py`."""
    for path in (images / "dog").iterdir():
        path.unlink()

    refuses(world, "; a classifier needs two")


def test_folders_of_splits_are_no_classes_until_the_model_file_says_what_they_are(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    for number, split in enumerate(("train", "val", "test")):
        for other, label in enumerate(("cat", "dog")):
            write(folder / split / label, *(f"{each}.png" for each in range(9)), first=80 * number + 40 * other)

    refuses(world, "holds the folders test, train, val", "Set data.splits: given", images=str(folder))
    record = snapshot(world, "retrain-2", splits="given")
    assert ("cat", "dog") == record.labels
    assert (18, 18, 18) == tuple(figures(record).images(split) for split in ("train", "validation", "holdout"))


def test_images_may_be_nested_below_their_label(world: World, images: Path) -> None:
    digest = snapshot(world).digest
    (images / "cat" / "2026" / "may").mkdir(parents=True)
    for path in (images / "cat").glob("*.png"):
        path.rename(images / "cat" / "2026" / "may" / path.name)

    assert digest == snapshot(world, "retrain-2").digest


def test_another_level_is_refused_with_what_was_found(world: World, images: Path) -> None:
    refuses(world, "holds 40 images and no folders of labels", images=f"{images}/cat")
    edit(world, images=str(images))
    (images.parent / "deep").mkdir()
    images.rename(images.parent / "deep" / "images")

    refuses(world, f"Set data.images: {images.parent}/deep/images", images=f"{images.parent}/deep")


def test_a_path_may_begin_with_home_and_be_relative(
    world: World, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = snapshot(world).digest
    monkeypatch.setenv("HOME", str(images.parent))
    monkeypatch.chdir(images.parent)

    assert digest == snapshot(world, "retrain-2", images="~/images").digest
    assert digest == snapshot(world, "retrain-3", images="./images").digest
