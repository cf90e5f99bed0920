"""Class folders as people have them: what is read from them, what is skipped, and what is said."""

import logging
import os
from pathlib import Path
from typing import Any, Literal

import pytest

from pipeline.data.source import Entry, UnreadableError
from pipeline.data.sources.folders import SUFFIXES, FolderSource
from pipeline.data.sources.opening import open_source
from pipeline.errors import BadInputError
from pipeline.spec import Data
from pipeline.storage.opening import open_tree
from pipeline.verdicts.measurements import Split
from tests.object_storage import Bucket as GoogleBucket
from tests.object_storage import bucket, store
from tests.pipeline.storage.s3_store import S3TestBucket, s3_bucket, s3_store

__all__ = ["bucket", "s3_bucket", "s3_store", "store"]

Splits = Literal["content", "given"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`images`, with `cat` and `dog`, each with one image."""
    write(tmp_path / "images", "cat/1.png", "dog/2.jpg")
    return tmp_path / "images"


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def source(images: Path | str, splits: Splits = "content") -> FolderSource:
    return FolderSource(Data(images=str(images), splits=splits), open_tree(str(images), seconds=1))


def read(images: Path | str, splits: Splits = "content") -> tuple[list[Entry], dict[str, str]]:
    """The entries, and what is reported, by the path."""
    problems: dict[str, str] = {}
    entries = source(images, splits).entries(lambda path, problem: problems.update({path: problem}))
    return list(entries), problems


def labels(images: Path | str) -> dict[str, str]:
    """The label of each image, where there is no problem."""
    entries, problems = read(images)
    assert {} == problems
    return {entry.name: entry.label for entry in entries}


def splits_of(images: Path) -> dict[str, Split | None]:
    entries, problems = read(images, "given")
    assert {} == problems
    return {entry.name: entry.split for entry in entries}


def refused(images: Path | str, splits: Splits = "content") -> str:
    """The whole text of the error."""
    with pytest.raises(BadInputError) as raised:
        read(images, splits)
    return str(raised.value)


def test_a_folder_is_a_label_and_images_may_be_nested_below_it(folder: Path) -> None:
    write(folder, "cat/2024/series 7/1.png", "cat/2024/3.png", "dog.and.cat/1.png")

    assert {
        "cat/1.png": "cat",
        "cat/2024/3.png": "cat",
        "cat/2024/series 7/1.png": "cat",
        "dog.and.cat/1.png": "dog.and.cat",
        "dog/2.jpg": "dog",
    } == labels(folder)


def test_an_entry_has_what_the_tree_knows_and_can_be_read(folder: Path) -> None:
    os.utime(folder / "cat" / "1.png", ns=(1, 1))
    entries, _ = read(folder)

    assert Entry("cat/1.png", 9, "1", "cat", None, ()) == entries[0]
    assert b"cat/1.png" == source(folder).read(entries[0])
    assert f"{folder}/cat/1.png" == source(folder).shown("cat/1.png")
    assert str(folder) == source(folder).address
    assert not source(folder).is_sharded


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".Jpeg", ".TIFF"])
def test_every_suffix_of_an_image_is_known_in_any_case(folder: Path, suffix: str) -> None:
    write(folder, f"cat/a.b{suffix}")

    assert "cat" == labels(folder)[f"cat/a.b{suffix}"]


@pytest.mark.parametrize("name", ["a.heic", "notes.txt", "png", "a.png.part", "no suffix"])
def test_any_other_file_of_a_label_is_reported(folder: Path, name: str) -> None:
    write(folder, f"cat/{name}", f"dog.v2/deep.png/{name}", "dog.v2/1.png")

    entries, problems = read(folder)

    assert ["cat/1.png", "dog.v2/1.png", "dog/2.jpg"] == [entry.name for entry in entries]
    assert {f"{folder}/cat/{name}", f"{folder}/dog.v2/deep.png/{name}"} == set(problems)
    assert problems[f"{folder}/cat/{name}"].startswith("is not one of .png, .jpg, ")


@pytest.mark.parametrize(
    "label",
    [
        "Corn_(maize)___rust",
        "Pepper,_bell",
        "dog & cat",
        "cat's",
        "$x",
        "e\u0301",
        "\U0001f600",
        "new\nline",
        "x" * 255,
        "#1",
        "album.png",
        " ",
    ],
)
def test_any_text_is_a_label(folder: Path, label: str) -> None:
    write(folder, f"{label}/1.png")

    assert label == labels(folder)[f"{label}/1.png"]


def test_a_label_that_is_not_utf_8_is_reported_with_its_path(folder: Path) -> None:
    latin = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    write(latin, "1.png")

    entries, problems = read(folder)

    assert ["cat", "dog"] == [entry.label for entry in entries]
    assert {f"{folder}/caf\\xe9": "has a name that is not UTF-8; rename it"} == problems


@pytest.mark.parametrize("parents", [("", ""), ("train/", "test/")])
def test_labels_that_differ_only_in_unicode_composition_are_refused_with_both_paths(
    tmp_path: Path, parents: tuple[str, str]
) -> None:
    """A Mac decomposes letters with accents, Linux does not, and a sync between them makes two folders of one."""
    composed, decomposed = f"{parents[0]}\u00e9t\u00e9", f"{parents[1]}e\u0301te\u0301"
    write(tmp_path / "images", f"{composed}/1.png", f"{decomposed}/2.png", f"{parents[0]}cat/3.png")

    message = refused(tmp_path / "images", "given" if parents[0] else "content")

    assert "differ only in how Unicode composes letters" in message
    assert f"{tmp_path}/images/{composed}" in message
    assert f"{tmp_path}/images/{decomposed}" in message


def test_labels_that_differ_in_case_are_two(folder: Path) -> None:
    write(folder, "Cat/1.png")

    assert {"Cat", "cat", "dog"} == set(labels(folder).values())


def test_what_systems_and_tools_leave_is_no_label_and_no_problem(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    expected = labels(folder)
    write(folder, ".ipynb_checkpoints/1.png", ".cache/1.png", "__MACOSX/1.png", "@eaDir/1.png")
    write(folder, "cat/Thumbs.db", "cat/desktop.ini", "cat/._1.png", "cat/.DS_Store", "cat/.ipynb_checkpoints/1.png")

    assert expected == labels(folder)
    assert 1 == caplog.text.count("skipped 9 hidden or system files and folders")


def test_a_readme_beside_the_labels_is_skipped_and_an_image_there_is_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write(folder, "README.md", "labels.json", "lost.png")

    entries, problems = read(folder)

    assert ["cat/1.png", "dog/2.jpg"] == [entry.name for entry in entries]
    assert {f"{folder}/lost.png": "is in no folder of a label; move it into one"} == problems
    assert "skipped 2 files beside the folders of the labels: README.md, labels.json" in caplog.text


def test_a_folder_called_like_an_image_is_a_folder(folder: Path) -> None:
    write(folder, "cat/album.png/1.png")
    (folder / "dog" / "empty.png").mkdir()

    assert ["cat/1.png", "cat/album.png/1.png", "dog/2.jpg"] == list(labels(folder))


def test_links_that_cannot_be_followed_are_reported_with_their_paths(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/1.png")
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    (folder / "rat").symlink_to(tmp_path / "elsewhere")
    (folder / "dog" / "copy.png").symlink_to("../cat/1.png")

    entries, problems = read(folder)

    assert ["cat/1.png", "dog/2.jpg", "dog/copy.png"] == [entry.name for entry in entries]
    assert {f"{folder}/cat/gone.png", f"{folder}/rat"} == set(problems)


def test_a_file_that_vanishes_before_it_is_read_is_unreadable(folder: Path) -> None:
    entries, _ = read(folder)
    (folder / "cat" / "1.png").unlink()

    with pytest.raises(UnreadableError, match=r"^does not exist$"):
        source(folder).read(entries[0])


def test_an_empty_label_folder_is_warned_about(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "rat" / "deep").mkdir(parents=True)

    assert {"cat", "dog"} == set(labels(folder).values())
    assert f"{folder}/rat holds no image, so nothing is learned about the label 'rat'" in caplog.text


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("training", "Validation", "holdout"), ("train", "dev", "Testing")],
)
def test_given_splits_are_folders_above_the_labels(tmp_path: Path, names: tuple[str, str, str]) -> None:
    train, validation, holdout = names
    write(tmp_path, f"{train}/cat/a/1.png", f"{train}/dog/2.png", f"{validation}/cat/3.png", f"{holdout}/dog/4.png")

    entries, problems = read(tmp_path, "given")

    assert {} == problems
    assert {
        (f"{train}/cat/a/1.png", "cat", "train"),
        (f"{train}/dog/2.png", "dog", "train"),
        (f"{validation}/cat/3.png", "cat", "validation"),
        (f"{holdout}/dog/4.png", "dog", "holdout"),
    } == {(entry.name, entry.label, entry.split) for entry in entries}


def test_an_image_between_a_split_and_its_labels_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/lost.png", "test/cat/2.png", "labels.csv")

    entries, problems = read(tmp_path, "given")

    assert 3 == len(entries)
    assert {f"{tmp_path}/train/lost.png": "is in no folder of a label; move it into one"} == problems


def test_an_empty_label_in_one_split_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/2.png")
    (tmp_path / "test" / "dog").mkdir()

    assert 3 == len(splits_of(tmp_path))
    assert f"{tmp_path}/test/dog holds no image" in caplog.text
    assert 1 == len(caplog.records)


@pytest.mark.parametrize("names", [("train", "val"), ("test", "train", "valid")])
def test_folders_of_splits_are_no_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("cat", "dog")))

    message = refused(tmp_path)

    assert f"data.images: {tmp_path} holds the folders {', '.join(names)}" in message
    assert "Set data.splits: given" in message


@pytest.mark.parametrize("names", [("train", "bus"), ("test", "val"), ("train",)])
def test_labels_may_have_the_name_of_a_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, *(f"{name}/1.png" for name in names))

    assert sorted(names) == sorted(labels(tmp_path).values())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("cat/1.png", "dog/1.png"), "it holds the folders cat, dog"),
        (("train/cat/1.png", "val/cat/1.png", "valid/cat/1.png"), "it holds the folders train, val, valid"),
        (("train/cat/1.png", "val/cat/1.png", "extra/1.png"), "it holds the folders extra, train, val"),
        (("train/cat/1.png",), "it holds the folders train"),
        (("test/cat/1.png", "val/cat/1.png"), "it holds the folders test, val"),
        (("1.png",), "it holds no folders"),
    ],
)
def test_folders_that_are_no_splits_are_refused_where_splits_are_given(
    tmp_path: Path, names: tuple[str, ...], found: str
) -> None:
    write(tmp_path, *names)

    message = refused(tmp_path, "given")

    assert f"{tmp_path} must hold one folder for each split, train (or training), val (or valid, " in message
    assert found in message


def test_one_flat_folder_is_refused(folder: Path) -> None:
    write(folder, "cat/3.png", "cat/notes.txt")

    assert (
        f"data.images: {folder}/cat holds 2 images and no folders of labels; put the images of each label into a "
        f"folder with the name of the label, or set data.images: {folder}, if its folders are the labels"
    ) == refused(folder / "cat")


def test_flat_folders_of_splits_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png", "test/2.png")

    assert (
        f"data.images: {tmp_path} holds 2 images and no folders of labels; put the images of each label into a folder "
        f"with the name of the label, in the folder of its split"
    ) == refused(tmp_path, "given")


def test_a_folder_whose_entries_are_all_unusable_is_refused_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat").symlink_to(tmp_path)

    message = refused(tmp_path / "images")

    assert "holds 0 images and no folders of labels" in message
    assert f"{tmp_path}/images/cat is a link to {tmp_path}, outside" in message


def test_folders_one_level_too_deep_are_refused_with_the_path_to_set(folder: Path) -> None:
    assert (
        f"data.images: {folder.parent} should hold one folder of images per label; it holds only images, which holds "
        f"the folders cat, dog. Set data.images: {folder}"
    ) == refused(folder.parent)


def test_splits_whose_labels_are_one_level_too_deep_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *(f"{split}/images/{label}/1.png" for split in ("train", "test") for label in ("cat", "dog")))

    assert "it holds only test/images, which holds the folders cat, dog. Move them one level up" in refused(
        tmp_path, "given"
    )


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    for label in ("a", "b", "c", "d", "e", "f", "g"):
        (tmp_path / label).mkdir()

    assert f"{tmp_path} holds 7 folders (a, b, c, d, e and 2 more) and no images in them" in refused(tmp_path)


def test_unusable_files_only_are_reported_and_not_hidden_behind_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.heic", "dog/2.heic")

    entries, problems = read(tmp_path)

    assert [] == entries
    assert {f"{tmp_path}/cat/1.heic", f"{tmp_path}/dog/2.heic"} == set(problems)


def test_a_folder_that_does_not_exist_is_named_with_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert f"data.images: the folder {tmp_path}/pets does not exist; correct the path" == refused("pets")
    assert f"data.images: the folder {tmp_path}/home/pets does not exist; correct the path" == refused("~/pets")


@pytest.fixture(params=["bucket", "s3_bucket"])
def remote(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_class_folders_in_a_store_are_as_on_a_disk(remote: GoogleBucket | S3TestBucket) -> None:
    for name in ("cat/1.png", "cat/deep/#2 e\u0301.JPG", "dog/1.png", "dog/notes.txt", ".cache/1.png", "lost.png"):
        remote.write(f"pets/{name}", name)
    # A folder that was made by hand.
    remote.write("pets/rat/", b"")

    entries, problems = read(remote.uri("pets"))

    assert [("cat/1.png", "cat"), ("cat/deep/#2 e\u0301.JPG", "cat"), ("dog/1.png", "dog")] == [
        (entry.name, entry.label) for entry in entries
    ]
    assert all(entry.stamp for entry in entries)
    assert {f"{remote.uri('pets')}/dog/notes.txt", f"{remote.uri('pets')}/lost.png"} == set(problems)
    assert b"cat/1.png" == source(remote.uri("pets")).read(entries[0])


def test_given_splits_in_a_store_are_as_on_a_disk(remote: GoogleBucket | S3TestBucket) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "test/dog/1.png"):
        remote.write(name, name)

    entries, problems = read(remote.uri(), "given")

    assert {} == problems
    assert ["holdout", "train", "train", "validation"] == [entry.split for entry in entries]


def test_a_store_without_images_there_is_refused(remote: GoogleBucket | S3TestBucket) -> None:
    remote.write("pets/flat.png", b"any")

    assert f"{remote.uri('pet')} holds 0 images and no folders of labels" in refused(remote.uri("pet"))
    assert f"{remote.uri('pets')} holds 1 images and no folders of labels" in refused(remote.uri("pets"))
    remote.write("pets/cat/1.png", b"any")
    assert refused(remote.uri("pets/cat")).endswith(
        f"or set data.images: {remote.uri('pets')}, if its folders are the labels"
    )
    assert f"Set data.images: {remote.uri('a/b')}" in _refused_below(remote)


def _refused_below(remote: GoogleBucket | S3TestBucket) -> str:
    for label in ("cat", "dog"):
        remote.write(f"a/b/{label}/1.png", b"any")
    return refused(remote.uri("a"))


def test_a_folder_of_images_is_opened_as_class_folders(folder: Path) -> None:
    opened = open_source(Data(images=f"{folder}/"))

    assert isinstance(opened, FolderSource)
    assert str(folder) == opened.address
    assert isinstance(open_source(Data(images=str(folder / "nothing here"))), FolderSource)
