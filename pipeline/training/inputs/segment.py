"""One file of decoded images, to which one process appends, and its index.

    <name>.pixels     the pixels of one image after the other, all of the same size
    <name>.index      for each of them, 36 bytes: the digest of the encoded image, and a checksum of digest and pixels

The pixels of an image are written before its entry in the index. A process that is killed leaves at most pixels without
an entry. After a loss of power an entry may have other pixels than it should, and its checksum says so.
"""

import fcntl
import os
import uuid
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIXELS, INDEX = ".pixels", ".index"
ENTRY = np.dtype([("digest", "S32"), ("checksum", "<u4")])
_REMOVED = bytes(ENTRY.itemsize)


def sums_of_pixels(digests: NDArray[np.uint8], checksums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The CRC-32 of the pixels from the checksums of entries, and the other way round.

    A checksum is that CRC-32, exclusive or the first four bytes of the digest: it says whose pixels they are, too.
    """
    return np.ascontiguousarray(digests[:, :4]).view("<u4").ravel() ^ checksums


def read_index(path: Path) -> NDArray[np.void]:
    """The index of a segment, without an entry that is being written.

    Raises:
        OSError: it cannot be read, or was removed.
    """
    content = path.with_suffix(INDEX).read_bytes()
    return np.frombuffer(content, ENTRY, count=len(content) // ENTRY.itemsize)


class Segment:
    """A segment that exists, open for reading. While it is open, no other process removes it.

    Args:
        path: the file of pixels.
        image_bytes: of the pixels of one image.

    Raises:
        OSError: it cannot be read, or was removed.
    """

    def __init__(self, path: Path, *, image_bytes: int) -> None:
        self._path = path
        self._image_bytes = image_bytes
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        _share(self._file)

    def entries(self) -> NDArray[np.void]:
        """The index; empty if it cannot be read."""
        try:
            return read_index(self._path)
        except OSError:
            return np.zeros(0, ENTRY)

    def mark_used(self) -> None:
        """Make it one of the last to be removed."""
        with suppress(OSError):  # of a file system that only can be read
            os.utime(self._file)

    def read_into(self, memory: memoryview, entry: int, sum_of_pixels: int) -> bool:
        """Read the pixels of an entry; whether they are those that were written."""
        try:
            count = os.preadv(self._file, (memory,), entry * self._image_bytes)
        except OSError:
            return False
        return count == self._image_bytes and zlib.crc32(memory) == sum_of_pixels

    def forget(self, entry: int) -> None:
        """Remove an entry whose pixels are damaged from the index, so that the image is decoded again."""
        with suppress(OSError), self._path.with_suffix(INDEX).open("r+b") as index:
            index.seek(entry * ENTRY.itemsize)
            index.write(_REMOVED)

    def close(self) -> None:
        os.close(self._file)


class SegmentWriter:
    """A new segment. Only this process appends to it.

    Args:
        folder: it exists.
        images: how many it takes at most.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, folder: Path, *, images: int) -> None:
        self.path = folder / f"{uuid.uuid4().hex}{PIXELS}"
        self.left = images
        self._count = 0
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._pixels = os.open(self.path, flags, 0o644)
        _share(self._pixels)
        try:
            self._index = os.open(self.path.with_suffix(INDEX), flags, 0o644)
        except OSError:
            os.close(self._pixels)
            raise

    def append(self, digests: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> tuple[int, NDArray[np.uint32]]:
        """Append images; the number of the first entry, and the checksums.

        Raises:
            OSError: not all of them were written. Nothing may be appended afterwards.
        """
        entries = np.empty(len(digests), ENTRY)
        entries["digest"] = np.ascontiguousarray(digests).view("S32").ravel()
        sums = np.array([zlib.crc32(each.tobytes()) for each in pixels], np.uint32)
        entries["checksum"] = sums_of_pixels(digests, sums)
        _write_all(self._pixels, pixels.tobytes())
        _write_all(self._index, entries.tobytes())
        first = self._count
        self._count += len(digests)
        self.left -= len(digests)
        return first, entries["checksum"]

    def close(self) -> None:
        os.close(self._pixels)
        os.close(self._index)


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _share(file: int) -> None:
    """Tell other processes that the segment is in use, until the file is closed or the process ends."""
    with suppress(OSError):  # of a file system without locks
        fcntl.flock(file, fcntl.LOCK_SH)


def remove_unused(path: Path) -> bool:
    """Remove a segment unless a process reads or writes it; whether it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if _is_in_use(file):
            return False
        path.with_suffix(INDEX).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _is_in_use(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: an open file stays readable there too
        return False
    return False
