"""Which kind of source `data.images` stands for."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.data.sources.folders import FolderSource
from pipeline.data.sources.opening import find_format, open_source
from pipeline.data.sources.shard_names import is_shard
from pipeline.errors import BadInputError
from pipeline.spec import Data
from tests.object_storage import bucket, store
from tests.pipeline.storage.s3_store import s3_bucket, s3_store

__all__ = ["bucket", "s3_bucket", "s3_store", "store"]


def write(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"any")
    return str(root)


@pytest.mark.parametrize("name", ["labels.csv", "~/labels.CSV", "gs://bucket/a/labels.parquet", "s3://bucket/l.csv"])
def test_a_manifest_is_known_by_its_suffix(name: str) -> None:
    assert "manifest" == find_format(Data(images=name))


@pytest.mark.parametrize(
    "name",
    [
        "pets.tfrecord",
        "/data/pets.TFRecords",
        "gs://bucket/pets.tfrec",
        "s3://bucket/pets.tfrecord-00000-of-00010",
        "pets.tfrecord-00000-of-00010.gz",
        "pets.tfrecord.gz",
    ],
)
def test_a_shard_is_known_by_its_name(name: str) -> None:
    assert is_shard(name)
    assert "tfrecord" == find_format(Data(images=name))


@pytest.mark.parametrize(
    "name",
    [
        "pets.tfrecord.txt",
        "tfrecord",
        "pets.tfrecordings",
        "pets.tfrecord-1",
        "img-00001-of-00009.jpg",
        "train-00000-of-00010.parquet",
    ],
)
def test_other_names_are_no_shards(name: str) -> None:
    assert not is_shard(name)


def test_a_folder_of_shards_is_known_by_what_it_holds(tmp_path: Path) -> None:
    names = ["train/pets.tfrecord-00000-of-00002", "train/pets.tfrecord-00001-of-00002", "preview.png", "README.md"]

    assert "tfrecord" == find_format(Data(images=write(tmp_path, *names)))


def test_a_folder_of_images_is_known_by_what_it_holds(tmp_path: Path) -> None:
    names = ["cat/1.png", "cat/2.jpg", "dog/1.webp", "dog/features.tfrecord", "labels.csv"]

    assert "folders" == find_format(Data(images=write(tmp_path, *names)))


def test_photographs_that_are_numbered_like_shards_are_images(tmp_path: Path) -> None:
    names = [f"{label}/img-{number:05}-of-00009.jpg" for label in ("cat", "dog") for number in range(9)]

    assert "folders" == find_format(Data(images=write(tmp_path, *names)))


def test_another_file_is_refused_with_what_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "cat/0000.jpg")

    with pytest.raises(BadInputError) as raised:
        list(open_source(Data(images=f"{tmp_path}/cat/0000.jpg")).entries(lambda _path, _problem: None))
    assert (
        f"data.images: {tmp_path}/cat/0000.jpg is a file; name the folder with the label folders, a .csv or .parquet "
        f"manifest, or a TFRecord shard"
    ) == str(raised.value)


@pytest.mark.parametrize("images", ["/data/pets", "gs://bucket/pets"])
def test_a_file_of_a_built_in_data_set_is_refused_for_other_images(images: str) -> None:
    with pytest.raises(BadInputError, match=f"^data.file: /x is for built-in data sets, and {images} is not one; remo"):
        open_source(Data(images=images, file="/x"))


@pytest.mark.parametrize(("field", "names"), [("slices", ("camera",)), ("columns", {"label": "class"})])
@pytest.mark.parametrize("named", ["folders", None])
def test_columns_are_refused_for_class_folders_before_anything_is_read(
    tmp_path: Path, field: str, names: Any, named: Any
) -> None:
    write(tmp_path, "cat/1.png", "dog/1.png")

    with pytest.raises(BadInputError) as raised:
        open_source(Data.model_validate({"images": str(tmp_path), "format": named, field: names}))
    assert (
        f"data.{field}: {tmp_path} is read as class folders, which have no columns; remove data.{field}, or set "
        f"data.images to a manifest"
    ) == str(raised.value)


@pytest.mark.parametrize("images", ["gs://UPPER/p", "s3://UPPER/p", "gs://UPPER/labels.csv"])
def test_a_bucket_with_an_impossible_name_is_refused_with_the_name_of_the_field(images: str) -> None:
    with pytest.raises(BadInputError, match=r"^data\.images: '(gs|s3)://UPPER.*': no bucket can be called 'UPPER'"):
        open_source(Data(images=images))


@pytest.mark.parametrize("name", ["empty", "gone"])
def test_a_folder_without_files_is_taken_for_class_folders_which_say_what_is_wrong(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    opened = open_source(Data(images=str(tmp_path / name)))

    assert isinstance(opened, FolderSource)
    with pytest.raises(BadInputError, match=f"{tmp_path}/{name} "):
        list(opened.entries(lambda _path, _problem: None))


@pytest.mark.parametrize("fixture", ["bucket", "s3_bucket"])
def test_what_is_in_a_store_is_looked_at_too(fixture: str, request: pytest.FixtureRequest) -> None:
    remote: Any = request.getfixturevalue(fixture)
    remote.write("shards/1.tfrecord", b"any")
    remote.write("pets/cat/1.png", b"any")

    assert "tfrecord" == find_format(Data(images=remote.uri("shards")))
    assert "folders" == find_format(Data(images=remote.uri("pets")))


@pytest.mark.parametrize("named", ["folders", "manifest", "tfrecord"])
def test_the_format_that_is_named_counts(tmp_path: Path, named: Any) -> None:
    assert named == find_format(Data(images=write(tmp_path, "cat/1.png"), format=named))


@pytest.mark.parametrize("images", ["gs://labels.csv", "s3://pets.tfrecord"])
def test_a_bucket_is_no_file(images: str) -> None:
    with pytest.raises(BadInputError, match=f"{images} is a bucket; name a file in it"):
        open_source(Data(images=images))


@pytest.mark.parametrize("images", ["azure://pets/images", "https://pets.example/images", "gs://"])
def test_an_address_that_nothing_can_open_is_refused(images: str) -> None:
    with pytest.raises(BadInputError, match=r"data\.images: .* is neither a path nor gs://bucket/prefix"):
        open_source(Data(images=images))


def test_a_manifest_is_read_from_its_folder_and_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "labels.csv")
    monkeypatch.chdir(tmp_path)

    for images in ("labels.csv", "./labels.csv", str(tmp_path / "labels.csv")):
        opened = open_source(Data(images=images))
        assert "ManifestSource" == type(opened).__name__
        assert f"{tmp_path}/labels.csv" == opened.address


def test_a_single_shard_is_the_whole_source(tmp_path: Path) -> None:
    write(tmp_path, "a.tfrecord", "b.tfrecord")
    opened = open_source(Data(images=str(tmp_path / "a.tfrecord")))

    assert opened.is_sharded
    assert ["a.tfrecord"] == [entry.name for entry in opened.entries(lambda _path, _problem: None)]
