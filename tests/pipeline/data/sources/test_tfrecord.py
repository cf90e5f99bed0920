"""Images in TFRecord shards."""

import gzip
import logging
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from pipeline.data.source import MOST_BYTES, Record
from pipeline.data.sources.tfrecord import TfrecordSource
from pipeline.errors import BadInputError
from pipeline.spec import Data
from pipeline.storage.tree import UnreadableError
from serving.apis import example_pb2
from serving.inference.tfrecord import masked
from tests.hunts import hunt
from tests.pipeline.data.pictures import write_old
from tests.pipeline.data.sources.folder_tree import FolderTree
from tests.pipeline.data.sources.reports import Reports


def example(**features: bytes | int | float | list[bytes]) -> bytes:
    """A serialized `tf.train.Example`. `_` in a name stands for `/`."""
    made = example_pb2.Example()
    for name, value in features.items():
        feature = made.features.feature[name.replace("_", "/")]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.bytes_list.value.extend([value] if isinstance(value, bytes) else value)
    return bytes(made.SerializeToString(deterministic=True))


def framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return length + checksum(length) + record + checksum(record)


def checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked(google_crc32c.value(content)))


ROSE = example(image_encoded=b"rose.png", image_class_text=b"rose")
TULIP = example(image_encoded=b"tulip.png", image_class_text=b"tulip")


def source(root: Path, **settings: Any) -> TfrecordSource:
    return TfrecordSource(Data(images=str(root), **settings), FolderTree(root))


def read(
    root: Path, content: bytes, name: str = "x.tfrecord", **settings: Any
) -> tuple[list[Record], list[str], str | None]:
    """The records of a shard, what is reported, and why it cannot be read to its end."""
    root.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
    shards, reports, records, reason = source(root, **settings), Reports(), list[Record](), None
    (shard,) = shards.entries(reports)
    try:
        records.extend(shards.records(shard, reports))
    except UnreadableError as error:
        reason = str(error)
    return records, [sentence.replace(str(root), "ROOT") for sentence in reports.sentences], reason


def described(root: Path, *records: bytes, **settings: Any) -> tuple[list[tuple[bytes, str]], list[str]]:
    """Content and label of each record, and what is reported."""
    found, reports, reason = read(root, b"".join(map(framed, records)), **settings)
    assert reason is None
    return [(record.content, record.label) for record in found], reports


def test_a_listing_reads_no_shard(tmp_path: Path) -> None:
    for name in ("b-00001-of-00002", "b-00000-of-00002", "deep/a.tfrecord", "a.tfrecords.gz", "a.tfrec"):
        write_old(tmp_path / name, b"no shard")
    shards = source(tmp_path)
    entries = list(shards.entries(Reports()))

    assert ["a.tfrec", "a.tfrecords.gz", "b-00000-of-00002", "b-00001-of-00002", "deep/a.tfrecord"] == [
        entry.name for entry in entries
    ]
    assert ({8}, {""}, {None}) == ({e.size for e in entries}, {e.label for e in entries}, {e.split for e in entries})
    assert all(entry.stamp for entry in entries)
    assert shards.is_sharded


def test_what_writers_of_shards_leave_beside_them_is_skipped_and_said_and_the_rest_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dataset_info.json", "label.labels.txt", "_SUCCESS", "cat.jpg", "x.tfrecord"):
        (tmp_path / name).write_bytes(b"")
    reports = Reports()
    with caplog.at_level(logging.INFO):
        entries = list(source(tmp_path).entries(reports))

    assert ["x.tfrecord"] == [entry.name for entry in entries]
    assert [f"{tmp_path}/cat.jpg is not named like a TFRecord shard; rename it or remove it"] == reports.sentences
    assert f"{tmp_path}: skipped _SUCCESS, dataset_info.json, label.labels.txt" in caplog.text


def test_a_folder_without_shards_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"has no TFRecord shard; names such as train-00000-of-00010"):
        list(source(tmp_path).entries(Reports()))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_shards_are_read_uncompressed_and_with_gzip(tmp_path: Path, compress: Any) -> None:
    records, reports, reason = read(tmp_path, compress(framed(ROSE) + framed(TULIP)))

    assert [Record(0, b"rose.png", "rose"), Record(1, b"tulip.png", "tulip")] == records
    assert ([], None) == (reports, reason)


def test_a_record_whose_length_looks_like_gzip_is_read(tmp_path: Path) -> None:
    start = example(image_encoded=b"", image_class_text=b"rose")
    missing = 0x8B1F - len(start)
    record = example(image_encoded=b"x" * (missing - 10), image_class_text=b"rose")
    stored = framed(record)
    assert stored.startswith(b"\x1f\x8b")

    records, _, reason = read(tmp_path, stored)

    assert (["rose"], None) == ([record.label for record in records], reason)


@pytest.mark.parametrize(
    ("record", "label"),
    [
        (example(image_encoded=b"c", image_class_text=b"rose", image_class_label=3), "rose"),
        (example(image_encoded=b"c", image_class_text=b"", image_class_label=3), "3"),
        (example(image_encoded=b"c", image_class_label=3), "3"),
        (example(image_encoded=b"c", label=0), "0"),
        (example(image=b"c", label="Größe".encode()), "Größe"),
    ],
)
def test_the_usual_features_are_found(tmp_path: Path, record: bytes, label: str) -> None:
    assert ([(b"c", label)], []) == described(tmp_path, record)


def test_other_features_are_found_by_their_names(tmp_path: Path) -> None:
    record = example(image_encoded=b"no", label=b"no", jpeg=b"yes", kind=b"cat", fold=b"test")
    records, reports, _ = read(
        tmp_path, framed(record), splits="given", columns={"image": "jpeg", "label": "kind", "split": "fold"}
    )

    assert ([Record(0, b"yes", "cat", "holdout")], []) == (records, reports)


def test_slices_may_be_bytes_integers_and_numbers(tmp_path: Path) -> None:
    record = example(image=b"c", label=b"cat", a=b"north", b=7, c=0.1, d=[b"x", b"y"])
    records, _, _ = read(tmp_path, framed(record), slices=("a", "b", "c", "d", "e"))

    assert [("north", "7", "0.1", "x, y", "")] == [record.slices for record in records]


def test_blanks_around_labels_slices_and_splits_are_removed_as_in_a_manifest(tmp_path: Path) -> None:
    stored = [
        example(image=b"c", label=b" cat \n", camera=[b" a ", b"b "], split=b" val "),
        example(image=b"d", label=b"cat", camera=b" ", split=b" "),
    ]
    records, reports, _ = read(tmp_path, b"".join(map(framed, stored)), splits="given", slices=("camera",))

    assert [Record(0, b"c", "cat", "validation", ("a, b",)), Record(1, b"d", "cat", None, ("",))] == records
    assert [] == reports


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"\xff\xff", "is not a tf.train.Example"),
        (b"", "has no value in 'image/encoded' or 'image'; its features are none"),
        (example(label=b"cat"), "has no value in 'image/encoded' or 'image'; its features are label"),
        (example(image=b"", label=b"cat"), "has no value in 'image/encoded' or 'image'; its features are image, label"),
        (
            example(image=b"c"),
            "has no value in 'image/class/text' or 'image/class/label' or 'label'; its features are image",
        ),
        (example(image=[b"c", b"d"], label=b"cat"), "has 2 encoded images in its feature 'image', and should have one"),
        (example(image=7, label=b"cat"), "has 0 encoded images in its feature 'image', and should have one"),
        (example(image=b"c", label=[b"cat", b"dog"]), "has 2 labels in its feature 'label', and should have one"),
        (example(image=b"c", label=b" "), "has an empty label in its feature 'label'"),
        (
            example(image=b"c", label=b"ca\0t"),
            "has the label 'ca\\x00t' in its feature 'label', which contains a NUL character",
        ),
        (
            example(image=b"c", **{f"f{number:02}": 1 for number in range(99)}),
            "has no value in 'image/class/text' or 'image/class/label' or 'label'; its features are "
            + ", ".join(f"f{number:02}" for number in range(12))
            + " and 88 more",
        ),
        (example(image=b"c", label=b"\xff"), "has a value in its feature 'label' that is not UTF-8"),
    ],
)
def test_a_record_that_is_no_labelled_image_is_reported_and_the_next_one_is_read(
    tmp_path: Path, record: bytes, reason: str
) -> None:
    assert ([(b"rose.png", "rose")], [f"record 0 of ROOT/x.tfrecord {reason}"]) == described(tmp_path, record, ROSE)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_record_with_a_wrong_checksum_is_reported_and_the_next_one_is_read(tmp_path: Path, compress: Any) -> None:
    damaged = bytearray(framed(ROSE))
    damaged[20] ^= 1
    records, reports, reason = read(tmp_path, compress(bytes(damaged) + framed(TULIP)))

    assert [Record(1, b"tulip.png", "tulip")] == records
    assert ["record 0 of ROOT/x.tfrecord is damaged: its checksum is wrong; write the shard again"] == reports
    assert reason is None


SHARD = framed(ROSE) + framed(TULIP) * 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SHARD[:-1], id="1 byte"),
        pytest.param(SHARD[:-15], id="15 bytes"),
        pytest.param(SHARD[: -len(framed(TULIP)) + 1], id="within a header, after 1 byte"),
        pytest.param(SHARD[: -len(framed(TULIP)) + 11], id="within a header, after 11 bytes"),
        pytest.param(gzip.compress(SHARD[: -len(framed(TULIP)) + 11]), id="within a header, GZIP"),
        # Not really compressed, so that 8 bytes of GZIP follow the last record.
        pytest.param(gzip.compress(SHARD, 0)[:-15], id="GZIP"),
    ],
)
def test_a_shard_that_ends_too_early_gives_what_is_whole_and_says_so(tmp_path: Path, content: bytes) -> None:
    records, reports, reason = read(tmp_path, content)

    assert [Record(0, b"rose.png", "rose"), Record(1, b"tulip.png", "tulip")] == records
    assert [] == reports
    assert reason is not None
    assert reason.startswith("cannot be read beyond record 1 (")


def test_a_length_that_is_damaged_ends_the_shard(tmp_path: Path) -> None:
    content = bytearray(framed(ROSE) + framed(TULIP))
    content[len(framed(ROSE))] ^= 1
    records, _, reason = read(tmp_path, bytes(content))

    assert [Record(0, b"rose.png", "rose")] == records
    assert reason == f"cannot be read beyond record 0 (corrupted record at {len(framed(ROSE))}); copy or write it again"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_record_that_is_longer_than_an_image_may_be_is_not_read(tmp_path: Path, compress: Any) -> None:
    """A megabyte of GZIP may hold a gigabyte. This one has only a header, so one that is read is cut off."""
    longest, longer = (struct.pack("<Q", MOST_BYTES + more) for more in (0, 1))
    for first in (b"", framed(ROSE)):
        records, reports, reason = read(tmp_path, compress(first + longer + checksum(longer) + b"rest"))

        number = bool(first) + 0
        assert (number, []) == (len(records), reports)
        assert (
            f"cannot be read from record {number} on: the record at {len(first)} has 256,000,001 bytes, and may have "
            f"256,000,000; make it smaller"
        ) == reason
    _, _, reason = read(tmp_path, framed(ROSE) + longest + checksum(longest) + b"rest")
    assert "truncated record" in str(reason)


@pytest.mark.parametrize(
    "content",
    [b"x" * 100, b"\x1f\x8b" + b"x" * 100, b"\x89PNG\r\n\x1a\n" + bytes(50)],
    ids=["text", "as GZIP begins", "as PNG begins"],
)
def test_a_file_that_is_no_shard_is_unreadable(tmp_path: Path, content: bytes) -> None:
    records, reports, reason = read(tmp_path, content)

    assert ([], []) == (records, reports)
    assert reason is not None
    assert reason.startswith("is not a TFRecord shard, uncompressed or with GZIP")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["empty", "GZIP"])
def test_a_shard_without_records_is_unreadable(tmp_path: Path, content: bytes) -> None:
    assert ([], [], "has no records; write it again or remove it") == read(tmp_path, content)


def test_a_shard_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.tfrecord").write_bytes(framed(ROSE))
    shards = source(tmp_path)
    (shard,) = shards.entries(Reports())
    (tmp_path / "x.tfrecord").unlink()

    with pytest.raises(UnreadableError, match="does not exist"):
        list(shards.records(shard, Reports()))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00010", "train"),
        ("train.tfrecord", "train"),
        ("flowers-validation.tfrecord-00000-of-00002", "validation"),
        ("VAL.tfrecords", "validation"),
        ("test/part-00000-of-00002", "holdout"),
        ("test/deep/part-00000-of-00002", "holdout"),
        ("train/test-00000-of-00002", "holdout"),
        ("trains-00000-of-00002", None),
        ("part-00000-of-00002", None),
    ],
)
def test_the_name_of_a_shard_or_its_folder_may_give_the_split(tmp_path: Path, name: str, split: str | None) -> None:
    records, reports, _ = read(tmp_path, framed(ROSE), name, splits="given")
    ignored, _, _ = read(tmp_path, framed(ROSE), name)

    assert ([split], []) == ([record.split for record in records], reports)
    assert [None] == [record.split for record in ignored], "with splits: content"


def test_a_name_with_two_splits_is_reported(tmp_path: Path) -> None:
    (tmp_path / "train-val-00000-of-00001").write_bytes(framed(ROSE))
    reports = Reports()

    assert [] == list(source(tmp_path, splits="given").entries(reports))
    assert [
        f"{tmp_path}/train-val-00000-of-00001 names more than one split: train, validation; rename it"
    ] == reports.sentences


def test_the_feature_of_a_record_gives_its_split_before_the_name_of_the_shard(tmp_path: Path) -> None:
    records = [example(image=b"c", label=b"cat", split=b"val"), example(image=b"d", label=b"cat")]
    found, _, _ = read(tmp_path, b"".join(map(framed, records)), "train.tfrecord", splits="given")

    assert ["validation", "train"] == [record.split for record in found]


def test_a_split_that_is_unknown_or_missing_though_named_is_reported(tmp_path: Path) -> None:
    records = [example(image=b"c", label=b"cat", fold=b"tset"), example(image=b"d", label=b"cat")]
    settings: dict[str, Any] = {"splits": "given", "columns": {"split": "fold"}}
    found, reports, _ = read(tmp_path, b"".join(map(framed, records)), **settings)

    assert [] == found
    assert "record 0 of ROOT/x.tfrecord has the split 'tset'; use one of train (or training), " in reports[0]
    assert "record 1 of ROOT/x.tfrecord has no feature 'fold', which data.columns names for the split" == reports[1]


WRITE = """
import sys
import tensorflow as tf
folder = sys.argv[1]
for compression in ("", "GZIP"):
    with tf.io.TFRecordWriter(f"{folder}/x{compression}.tfrecord", compression) as writer:
        for number in range(300):
            content = bytes([number % 7]) * number * 200
            feature = {
                "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content])),
                "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 3])),
                "light": tf.train.Feature(float_list=tf.train.FloatList(value=[number / 7])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
"""


@hunt
def test_what_tensorflow_writes_is_read(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], check=True, capture_output=True)
    shards, reports = source(tmp_path, slices=("light",)), Reports()
    found = [list(shards.records(shard, reports)) for shard in shards.entries(reports)]
    expected = [
        Record(number, bytes([number % 7]) * number * 200, str(number % 3), None, found[0][number - 1].slices)
        for number in range(1, 300)
    ]

    assert [expected, expected] == found
    assert all(abs(float(record.slices[0]) - record.number / 7) < 1e-5 for record in found[0])
    # An image without bytes is not an image.
    assert 2 == len(reports.sentences)


READ = """
import sys
import tensorflow as tf
for name, compression in (("x.tfrecord", None), ("y.tfrecord", "GZIP")):
    for record in tf.data.TFRecordDataset(f"{sys.argv[1]}/{name}", compression_type=compression):
        example = tf.train.Example.FromString(record.numpy())
        print(example.features.feature["image/class/text"].bytes_list.value[0].decode())
"""


@hunt
def test_the_shards_of_these_tests_are_those_of_tensorflow(tmp_path: Path) -> None:
    content = framed(ROSE) + framed(TULIP)
    (tmp_path / "x.tfrecord").write_bytes(content)
    (tmp_path / "y.tfrecord").write_bytes(gzip.compress(content))
    printed = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout

    assert ["rose", "tulip"] * 2 == printed.split()
