"""Decoded images on this machine, by the digest of the encoded ones. A training decodes only what is not there.

    <cache>/pixels/<height>x<width>x<channels>-tensorflow-<version>-<code>/    see `pipeline.training.inputs.segment`

Any number of processes may use it at once: each appends to segments of its own, and two that decode the same image
store it twice. What is there is a copy: everything may be deleted at any time.
"""

import logging
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from pipeline.training.inputs.room import bytes_of, make_room
from pipeline.training.inputs.segment import PIXELS, Segment, SegmentWriter, read_index, sums_of_pixels

log = logging.getLogger(__name__)

MISSING = -1
# A segment takes this part of the limit, so that one of them can be removed without losing much.
_SEGMENTS = 64
# Each of the segments that are read takes an open file. Those that have the most of the images are read.
_MOST_OPEN = 2 * _SEGMENTS


@dataclass(frozen=True, eq=False)
class Places:
    """Where the pixels of images are, 12 bytes for each.

    Attributes:
        segments: int32 (images,): the number of the segment, or `MISSING`.
        entries: int32 (images,): the entry in it.
        checksums: uint32 (images,).
    """

    segments: NDArray[np.int32]
    entries: NDArray[np.int32]
    checksums: NDArray[np.uint32]

    @classmethod
    def none(cls, count: int) -> "Places":
        """So many images that are not stored."""
        return cls(np.full(count, MISSING, np.int32), np.zeros(count, np.int32), np.zeros(count, np.uint32))

    def at(self, positions: NDArray[np.integer]) -> "Places":
        return Places(self.segments[positions], self.entries[positions], self.checksums[positions])

    def put(self, positions: NDArray[np.integer], places: "Places") -> None:
        self.segments[positions] = places.segments
        self.entries[positions] = places.entries
        self.checksums[positions] = places.checksums


class PixelCache:
    """The images of one size. A context manager: segments that are used stay open, and are not removed, until its end.

    Not safe to use from many threads, except for `read`.

    Args:
        folder: where decoded images of all sizes are kept.
        key: the name of the folder of this size.
        image_bytes: of the pixels of one image.
        most_bytes: above it, segments of any size are removed that were not used for longest. If that is not enough,
            because processes use them, images are not stored.
    """

    def __init__(self, folder: Path, key: str, *, image_bytes: int, most_bytes: int) -> None:
        self._root = folder / "pixels"
        self._key = key
        self._image_bytes = image_bytes
        self._most_bytes = most_bytes
        self._segments: list[Segment] = []
        self._writer: SegmentWriter | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._stores = True

    def __enter__(self) -> "PixelCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_segment()
        for segment in self._segments:
            segment.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def stores(self) -> bool:
        """False after an image could not be stored, because of the limit or of the disk."""
        return self._stores

    def find(self, digests: NDArray[np.uint8]) -> Places:
        """Where images are that are stored already. Memory: as much as the digests, and the index of one segment.

        Args:
            digests: uint8 (images, 32).
        """
        digests = np.ascontiguousarray(digests)
        given = digests.view("S32").ravel()
        order = np.argsort(given, kind="stable")
        wanted = given[order]
        found = Places.none(len(wanted))
        for path in self._by_use(wanted):
            self._take(path, wanted, found)
        places = Places.none(len(wanted))
        # Of equal digests, the first one has been found.
        places.put(order, found.at(np.searchsorted(wanted, wanted)))
        return places

    def _by_use(self, wanted: NDArray[np.bytes_]) -> list[Path]:
        """The segments with wanted images, those with the most of them first."""
        counts = []
        for path in (self._root / self._key).glob(f"*{PIXELS}"):
            with suppress(OSError):  # another process has removed it
                entries, _ = _matches(read_index(path), wanted)
                counts += [(-len(entries), path)] if len(entries) else []
        return [path for _, path in sorted(counts)[:_MOST_OPEN]]

    def _take(self, path: Path, wanted: NDArray[np.bytes_], found: Places) -> None:
        """Keep a segment open if it has wanted images that no segment before it has."""
        try:
            segment = Segment(path, image_bytes=self._image_bytes)
        except OSError:  # another process has removed it
            return
        if _put(segment.entries(), wanted, found, number=len(self._segments)):
            segment.mark_used()
            self._segments.append(segment)
        else:
            segment.close()

    def add(self, digests: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> Places:
        """Store images, as far as there is room; where they are.

        Args:
            digests: uint8 (images, 32).
            pixels: uint8 (images, height, width, channels).
        """
        places = Places.none(len(digests))
        done = 0
        while done < len(digests) and self._has_segment():
            assert self._writer is not None
            some = np.arange(done, min(done + self._writer.left, len(digests)))
            if not self._append(places, some, digests[some], pixels[some]):
                break
            done = int(some[-1]) + 1
        return places

    def _append(
        self, places: Places, positions: NDArray[np.integer], digests: NDArray[np.uint8], pixels: NDArray[np.uint8]
    ) -> bool:
        assert self._writer is not None
        try:
            first, checksums = self._writer.append(digests, pixels)
        except OSError as error:
            self._stop(f"{self._writer.path.parent}: {error}")
            return False
        places.segments[positions] = len(self._segments) - 1
        places.entries[positions] = first + np.arange(len(positions))
        places.checksums[positions] = checksums
        return True

    def _has_segment(self) -> bool:
        """Whether images can be appended."""
        if self._writer is not None and self._writer.left:
            return True
        self._end_segment()
        if not self._stores:
            return False
        images = max(1, self._most_bytes // _SEGMENTS // bytes_of(self._image_bytes))
        if not make_room(self._root, images * bytes_of(self._image_bytes), most_bytes=self._most_bytes):
            self._stop(
                f"the {self._most_bytes / 1e9:.3g} GB of UNDERSTUDY_CACHE_GB are less than an image, or full of images "
                f"in use; give more if the disk has it"
            )
            return False
        self._begin_segment(images)
        return self._writer is not None

    def _begin_segment(self, images: int) -> None:
        try:
            try:
                self._open_segment(images)
            except FileNotFoundError:  # another process made room before the segment was marked as used
                self._open_segment(images)
        except OSError as error:
            if self._temporary is not None:
                self._stop(f"{self._root}: {error}")
                return
            self._temporary = tempfile.TemporaryDirectory(prefix="understudy-")
            log.warning(
                "decoded images are kept in a temporary folder, and the next training decodes them again: %s. Give a "
                "folder that this user may write as UNDERSTUDY_CACHE",
                error,
            )
            self._root = Path(self._temporary.name)
            self._begin_segment(images)

    def _open_segment(self, images: int) -> None:
        folder = self._root / self._key
        folder.mkdir(parents=True, exist_ok=True)
        writer = SegmentWriter(folder, images=images)
        self._segments.append(Segment(writer.path, image_bytes=self._image_bytes))
        self._writer = writer

    def _end_segment(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _stop(self, why: str) -> None:
        self._end_segment()
        self._stores = False
        log.warning("images are no longer stored, so some are fetched and decoded in each epoch: %s", why)

    def read(self, digests: NDArray[np.uint8], places: Places, pixels: NDArray[np.uint8]) -> list[int]:
        """Read images into memory; the numbers of those that are missing, or damaged.

        Safe to use from many threads. What is damaged is not found any more by later trainings.

        Args:
            digests: uint8 (images, 32), of the encoded images.
            places: where their pixels are.
            pixels: uint8 (images, `image_bytes`), which is filled.
        """
        size = self._image_bytes
        memory = pixels.ravel().data
        segments, entries = places.segments.tolist(), places.entries.tolist()
        sums = sums_of_pixels(digests, places.checksums).tolist()
        lacking = []
        for at, number in enumerate(segments):
            if number != MISSING and self._segments[number].read_into(
                memory[at * size : (at + 1) * size], entries[at], sums[at]
            ):
                continue
            lacking.append(at)
            if number != MISSING:
                log.warning(
                    "a decoded image in the cache is damaged, and is decoded again: %s", digests[at].tobytes().hex()
                )
                self._segments[number].forget(entries[at])
        return lacking


def _matches(index: NDArray[np.void], wanted: NDArray[np.bytes_]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Entries of an index whose images are wanted, and where these are among the wanted ones, which are sorted."""
    if not len(wanted):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = np.searchsorted(wanted, index["digest"]).clip(max=len(wanted) - 1)
    entries = np.flatnonzero(wanted[near] == index["digest"])
    return entries, near[entries]


def _put(index: NDArray[np.void], wanted: NDArray[np.bytes_], found: Places, *, number: int) -> bool:
    """Note the places of wanted images in a segment that have none yet; whether there are any."""
    entries, positions = _matches(index, wanted)
    new = found.segments[positions] == MISSING
    entries, positions = entries[new], positions[new]
    segments = np.full(len(entries), number, np.int32)
    found.put(positions, Places(segments, entries.astype(np.int32), index["checksum"][entries]))
    return len(entries) > 0
