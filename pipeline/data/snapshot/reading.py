"""Read files that are new: their content is hashed, decoded, converted if need be, and stored in the bucket."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pipeline import layout
from pipeline.budget import Budget
from pipeline.data.decoding.image_files import read_image
from pipeline.data.snapshot.rows import Row, slices_text
from pipeline.data.source import MOST_BYTES, Entry, Record, Report, Source, UnreadableError, record_name
from pipeline.errors import StorageError
from pipeline.progress import logged
from pipeline.storage.bucket import Bucket
from pipeline.storage.objects import THREADS
from serving.images import MOST_PIXELS, ImageError, read_header

log = logging.getLogger(__name__)

# Contents in memory at most: those in work, and as many that wait for a thread.
_WAITING = 2 * THREADS

# Decoding takes 8 to 13 bytes for each pixel.
_decoding = Budget(MOST_PIXELS)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reader:
    """Reads images of one source.

    Attributes:
        source: where they are.
        bucket: where they are stored; None: they are only looked at.
        model: the name of the model.
        channels: the channels that the served graph decodes images to, 1 or 3.
        at: the moment of this snapshot, in ISO 8601.
    """

    source: Source
    bucket: Bucket | None
    model: str
    channels: int
    at: str

    def files(self, unread: Iterable[tuple[int, Entry, str]], report: Report) -> Iterator[tuple[int, Row]]:
        """Read single files: ordinals and rows. What cannot be read at all is reported, and has no row.

        Args:
            unread: ordinal, entry and slices of each.
            report: called with each problem that may be another one next time.

        Raises:
            StorageError: the source or the bucket does not answer.
        """

        def work(item: tuple[int, Entry, str]) -> tuple[int, Row | tuple[str, str]]:
            ordinal, entry, slices = item
            try:
                _require_size(entry.size)
                return ordinal, self._row(entry, slices, self.source.read(entry))
            except UnreadableError as error:
                return ordinal, (self.source.shown(entry.name), str(error))

        for ordinal, found in _in_parallel(work, logged(unread, "new images read")):
            if isinstance(found, Row):
                yield ordinal, found
            else:
                report(*found)

    def shard(self, shard: Entry, report: Report) -> Iterator[Row]:
        """Read every image of a shard.

        Raises:
            UnreadableError: the shard cannot be read, or not to its end.
            StorageError: the source or the bucket does not answer.
        """

        def work(record: Record) -> Row:
            name = record_name(shard.name, record.number)
            entry = Entry(name, len(record.content), shard.stamp, record.label, record.split)
            return self._row(entry, slices_text(record.slices), record.content)

        records = self.source.records(shard, report)
        yield from _in_parallel(work, logged(records, f"images read of {self.source.shown(shard.name)}"))

    def _row(self, entry: Entry, slices: str, content: bytes) -> Row:
        digest = hashlib.sha256(content).digest()
        listed = (entry.name, entry.size, entry.stamp, entry.label, entry.split, slices)
        try:
            header = read_header(content)
            with _decoding.taken(header.width * header.height):
                image = read_image(content, channels=self.channels)
        except (ImageError, UnreadableError) as error:
            return Row(*listed, digest, None, "", 0, 0, 0, None, self.at, "unusable", None, str(error))
        stored = hashlib.sha256(image.content).digest() if image.is_converted else digest
        if self.bucket is not None:
            _store(self.bucket, layout.image(self.model, stored.hex(), image.suffix), image.content)
        blank, phash = int(image.is_blank), _signed(image.phash)
        return Row(
            *listed, digest, stored, image.suffix, image.width, image.height, blank, phash, self.at, "used", None, None
        )


def _require_size(size: int) -> None:
    """Refuse a file before it is read. Those of a shard are in memory already."""
    if size > MOST_BYTES:
        raise UnreadableError(
            f"has {size / 1e6:,.0f} MB, and an image may have {MOST_BYTES / 1e6:,.0f}; make it smaller or remove it"
        )


def _store(bucket: Bucket, key: str, content: bytes) -> None:
    """Store an image under its content. An object that was damaged there is replaced."""
    if bucket.create(key, content):
        return
    found = bucket.read(key)
    if found != content and not bucket.replace(key, content, instead_of=found):
        raise StorageError(f"{key} is damaged, and another process changes it; repeat this step")
    log.warning("%s was damaged in the bucket, and is stored again", key)


def _signed(number: int | None) -> int | None:
    """64 bits as SQLite and Parquet keep them."""
    return number - (1 << 64) if number is not None and number >> 63 else number


def _in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of the items, of which only a few are taken at a time: they have contents of images.

    If the items end with an `UnreadableError`, it is raised after the results of those before.
    """
    ended_by: UnreadableError | None = None
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) >= _WAITING:
                        yield waiting.popleft().result()
            except UnreadableError as error:
                ended_by = error
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if ended_by is not None:
        raise ended_by
