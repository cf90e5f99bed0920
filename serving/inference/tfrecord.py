"""TFRecord files, read as TensorFlow's own reader reads them.

A record is its length and its bytes, each followed by a checksum.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from serving.status import DataLossError, NotFoundError

LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")
HEADER_SIZE = LENGTH.size + CHECKSUM.size
# Above it TensorFlow's own arithmetic would overflow.
MAX_LENGTH = 2**64 - 1 - CHECKSUM.size


def read_records(path: Path) -> Iterator[bytes]:
    """The records in their order.

    Raises NotFoundError when there is no such file, and DataLossError, in TensorFlow's words, where it is damaged.
    A rest too short to be the header of a record passes for the end of the file, there as here.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFoundError(f"{path}; {error.strerror}") from error
    with file:
        yield from _records(file, os.fstat(file.fileno()).st_size)


def _records(file: BinaryIO, size: int) -> Iterator[bytes]:
    position = 0
    while size - position >= HEADER_SIZE:
        (length,) = LENGTH.unpack(_checked(file.read(HEADER_SIZE), position))
        if length >= MAX_LENGTH:
            raise DataLossError("record size too large")
        end = position + HEADER_SIZE + length + CHECKSUM.size
        if end > size:
            raise DataLossError(f"truncated record at {position}' failed with Read less bytes than requested")
        yield _checked(file.read(length + CHECKSUM.size), position + HEADER_SIZE)
        position = end


def _checked(stored: bytes, position: int) -> bytes:
    content = stored[: -CHECKSUM.size]
    (checksum,) = CHECKSUM.unpack(stored[-CHECKSUM.size :])
    if checksum != masked(google_crc32c.value(content)):
        doubt = "" if position else " (Is this even a TFRecord file?)"
        raise DataLossError(f"corrupted record at {position}{doubt}")
    return content


def masked(checksum: int) -> int:
    """The checksum as it is stored: rotated and shifted, because a checksum of data with checksums in it is weak."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
