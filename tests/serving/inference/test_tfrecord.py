"""A file of two records, `abc` from byte 0 and `defgh` from byte 19; what is expected was observed with TensorFlow."""

import struct
from pathlib import Path

import google_crc32c
import pytest

from serving.inference.tfrecord import masked, read_records
from serving.status import DataLossError, NotFoundError

# As tf.io.TFRecordWriter writes it.
WRITTEN = bytes.fromhex(
    "03 00 00 00 00 00 00 00 b0 99 49 0e 61 62 63 6e 57 f1 21"
    "05 00 00 00 00 00 00 00 ea b2 04 3e 64 65 66 67 68 80 55 62 7d"
)


def read(directory: Path, content: bytes) -> list[bytes | str]:
    """The records, and at the end the message of the error, if there was one."""
    path = directory / "records"
    path.write_bytes(content)
    seen: list[bytes | str] = []
    try:
        seen.extend(read_records(path))
    except DataLossError as error:
        seen.append(error.message)
    return seen


def header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked(google_crc32c.value(packed)))


def test_what_tensorflow_wrote_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, WRITTEN) == [b"abc", b"defgh"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, []),
        (11, []),
        (12, ["truncated record at 0' failed with Read less bytes than requested"]),
        (18, ["truncated record at 0' failed with Read less bytes than requested"]),
        (19, [b"abc"]),
        (30, [b"abc"]),
        (31, [b"abc", "truncated record at 19' failed with Read less bytes than requested"]),
        (39, [b"abc", "truncated record at 19' failed with Read less bytes than requested"]),
    ],
)
def test_a_file_cut_short_is_damaged_unless_it_is_cut_within_a_header(
    tmp_path: Path, size: int, expected: list[bytes | str]
) -> None:
    assert expected == read(tmp_path, WRITTEN[:size])


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        pytest.param(0, ["corrupted record at 0 (Is this even a TFRecord file?)"], id="first length"),
        pytest.param(8, ["corrupted record at 0 (Is this even a TFRecord file?)"], id="checksum of the first length"),
        pytest.param(12, ["corrupted record at 12"], id="first record"),
        pytest.param(15, ["corrupted record at 12"], id="checksum of the first record"),
        pytest.param(19, [b"abc", "corrupted record at 19"], id="second length"),
        pytest.param(36, [b"abc", "corrupted record at 31"], id="checksum of the second record"),
    ],
)
def test_one_wrong_bit_is_found(tmp_path: Path, position: int, expected: list[bytes | str]) -> None:
    content = bytearray(WRITTEN)
    content[position] ^= 1

    assert expected == read(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (2**64 - 1, "record size too large"),
        (2**40, "truncated record at 0' failed with Read less bytes than requested"),
    ],
)
def test_a_length_no_file_has_asks_for_no_memory(tmp_path: Path, length: int, message: str) -> None:
    assert [message] == read(tmp_path, header(length) + b"xx")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No such file or directory"):
        list(read_records(tmp_path / "records"))
