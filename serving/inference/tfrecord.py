"""TFRecord files, read as TensorFlow's own reader reads them.

A record is its length and its bytes, each followed by a checksum.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c

from serving.status import DataLossError, NotFoundError

LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")
HEADER_SIZE = LENGTH.size + CHECKSUM.size
# Above it TensorFlow's own arithmetic would overflow.
MAX_LENGTH = 2**64 - 1 - CHECKSUM.size
# A length that is wrong asks for no more memory than this, plus what the file really has.
_PIECE = 1 << 24


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
        for record in scan_records(file, may_end_in_header=True):
            if isinstance(record, DataLossError):
                raise record
            yield record


class TooLongError(DataLossError):
    """A record is longer than the caller takes."""


def scan_records(
    stream: IO[bytes], *, most: int = MAX_LENGTH, may_end_in_header: bool = False
) -> Iterator[bytes | DataLossError]:
    """The records of a stream, and an error in the place of each whose own checksum is wrong.

    The next record begins where the length of the damaged one says, because the length has its own checksum.

    Args:
        stream: of records.
        most: bytes of a record. A longer one is not read, because it has to fit in memory.
        may_end_in_header: whether a rest too short to be the header of a record passes for the end of the stream.

    Raises TooLongError for a longer record, and DataLossError, in TensorFlow's words, where no next record can be
    found.
    """
    position = 0
    while header := _read(stream, HEADER_SIZE):
        if len(header) < HEADER_SIZE:
            if may_end_in_header:
                return
            raise _truncated(position)
        if not _is_whole(header):
            raise _corrupted(position)
        (length,) = LENGTH.unpack(header[: LENGTH.size])
        if length >= MAX_LENGTH:
            raise DataLossError("record size too large")
        if length > most:
            raise TooLongError(f"the record at {position} has {length:,} bytes, and may have {most:,}")
        stored = _read(stream, length + CHECKSUM.size)
        if len(stored) < length + CHECKSUM.size:
            raise _truncated(position)
        yield stored[: -CHECKSUM.size] if _is_whole(stored) else _corrupted(position + HEADER_SIZE)
        position += HEADER_SIZE + len(stored)


def _read(stream: IO[bytes], size: int) -> bytes:
    """That many bytes of a stream, or fewer at its end."""
    pieces = []
    while size and (piece := stream.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _is_whole(stored: bytes) -> bool:
    """Whether the checksum at the end is that of the bytes before it."""
    (checksum,) = CHECKSUM.unpack(stored[-CHECKSUM.size :])
    return bool(checksum == masked(google_crc32c.value(stored[: -CHECKSUM.size])))


def _truncated(position: int) -> DataLossError:
    return DataLossError(f"truncated record at {position}' failed with Read less bytes than requested")


def _corrupted(position: int) -> DataLossError:
    doubt = "" if position else " (Is this even a TFRecord file?)"
    return DataLossError(f"corrupted record at {position}{doubt}")


def masked(checksum: int) -> int:
    """The checksum as it is stored: rotated and shifted, because a checksum of data with checksums in it is weak."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
