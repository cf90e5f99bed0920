"""Weights that are no numbers, and files that are spoilt, missing or made to do harm."""

import shutil
import struct
from pathlib import Path

import google_crc32c
import pytest

from pipeline.safety import weights
from serving.apis import tensor_bundle_pb2, types_pb2
from serving.status import StatusError
from serving.tensorflow.checkpoint import Checkpoint
from serving.wire import KINDS
from tests.pipeline.safety.unsafe_models import BAD

INDEX = "variables/variables.index"
SHARD = "variables/variables.data-00000-of-00001"


@pytest.fixture
def spoilt(models: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(models / "plain", tmp_path / "model"))


@pytest.mark.parametrize("name", ["own", "mobilenet", "plain"])
def test_numbers_are_let_through(models: Path, name: str) -> None:
    assert [] == weights.problems(models / name, restored=True)


def test_nan_and_infinity_are_counted_by_tensor_in_every_type_of_fractions(models: Path) -> None:
    """F15; whole numbers, words and empty tensors pass, and so do those of the tensor beside them."""
    (found,) = weights.problems(models / "not_finite", restored=True)
    types = sorted(BAD)

    assert f"{len(BAD)} of {len(BAD) + 2} weight tensors are not finite: " == found[: found.index("'")]
    for kind in types[:3]:
        values, bad = BAD[kind]
        assert f"'bad_{kind}/.ATTRIBUTES/VARIABLE_VALUE' ({bad} of {len(values)} values)" in found
    assert " and 3 more" == found[-11:]


@pytest.mark.parametrize("kind", sorted(BAD))
def test_values_are_read_as_what_they_are(models: Path, kind: str) -> None:
    name = f"bad_{kind}/.ATTRIBUTES/VARIABLE_VALUE"
    with Checkpoint(str(models / "not_finite" / "variables" / "variables")) as checkpoint:
        number = checkpoint.types()[name]
        with checkpoint.values(name) as values:
            told = values.dtype.name, len(values)

    assert (kind, len(BAD[kind][0])) == told
    assert kind == KINDS[number].dtype.name


def test_a_missing_shard_is_refused(spoilt: Path) -> None:
    (spoilt / SHARD).unlink()
    (found,) = weights.problems(spoilt, restored=True)

    assert found.startswith("1 of 1 weight tensors cannot be read: 'weights/.ATTRIBUTES/VARIABLE_VALUE' (NOT_FOUND: ")


def test_a_shard_whose_bytes_changed_is_refused(spoilt: Path) -> None:
    content = bytearray((spoilt / SHARD).read_bytes())
    content[0] ^= 1
    (spoilt / SHARD).write_bytes(content)
    (found,) = weights.problems(spoilt, restored=True)

    assert "'weights/.ATTRIBUTES/VARIABLE_VALUE' (DATA_LOSS: " in found


def test_a_missing_index_is_refused_where_the_graph_restores(spoilt: Path) -> None:
    (spoilt / INDEX).unlink()

    assert [f"{INDEX} is missing, and the graph restores its variables from it"] == weights.problems(
        spoilt, restored=True
    )
    assert [] == weights.problems(spoilt, restored=False)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, bytes(4096)], ids=["empty", "text", "zeros"])
def test_a_garbage_index_is_refused_in_the_words_of_tensorflow(spoilt: Path, content: bytes) -> None:
    (spoilt / INDEX).write_bytes(content)
    (found,) = weights.problems(spoilt, restored=True)

    assert found.startswith(f"{INDEX} cannot be read: DATA_LOSS: ")


@pytest.mark.parametrize("shape", [(-4,), (2**40, 2**40)], ids=["negative", "too large"])
def test_an_index_that_crashes_tensorflow_crashes_only_the_reader(spoilt: Path, shape: tuple[int, ...]) -> None:
    (spoilt / INDEX).write_bytes(index(shape))

    assert [f"{INDEX} cannot be read: TensorFlow crashed over it (signal 6)"] == weights.problems(spoilt, restored=True)


def test_a_shape_that_its_bytes_do_not_fill_is_refused(spoilt: Path) -> None:
    (spoilt / INDEX).write_bytes(index((2**20,)))
    (found,) = weights.problems(spoilt, restored=True)

    assert "1 of 1 weight tensors cannot be read: 'w' (DATA_LOSS: Invalid size in bundle entry" in found


def test_a_closed_checkpoint_may_be_closed_again(models: Path) -> None:
    checkpoint = Checkpoint(str(models / "plain" / "variables" / "variables"))
    names = set(checkpoint.types())
    checkpoint.close()
    checkpoint.close()

    assert {"_CHECKPOINTABLE_OBJECT_GRAPH", "weights/.ATTRIBUTES/VARIABLE_VALUE"} == names


def test_a_tensor_of_words_and_one_that_is_not_there_have_no_values(models: Path) -> None:
    with Checkpoint(str(models / "plain" / "variables" / "variables")) as checkpoint:
        for name in ("_CHECKPOINTABLE_OBJECT_GRAPH", "nobody"):
            with pytest.raises(StatusError), checkpoint.values(name):
                pass


def index(shape: tuple[int, ...]) -> bytes:
    """A checkpoint index with one tensor `w` of any shape, its own checksums in order."""
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
    header.version.producer = 1
    entry = tensor_bundle_pb2.BundleEntryProto(dtype=types_pb2.DT_FLOAT, size=16)
    for size in shape:
        entry.shape.dim.add(size=size)
    data, data_handle = stored(block([(b"", header.SerializeToString()), (b"w", entry.SerializeToString())]), 0)
    meta, meta_handle = stored(block([]), len(data))
    end, end_handle = stored(block([(b"x", data_handle)]), len(data) + len(meta))
    footer = (meta_handle + end_handle).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return data + meta + end + footer


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    content, starts = b"", []
    for key, value in entries:
        starts.append(len(content))
        content += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    starts = starts or [0]
    return content + struct.pack(f"<{len(starts) + 1}I", *starts, len(starts))


def stored(content: bytes, position: int) -> tuple[bytes, bytes]:
    """The block with its checksum, and its handle."""
    crc = google_crc32c.value(content + b"\0")
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    return content + b"\0" + struct.pack("<I", masked), varint(position) + varint(len(content))


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
