"""TFRecord shards of `tf.train.Example`, uncompressed or with GZIP."""

import gzip
import logging
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from pipeline.data.source import MOST_BYTES, Entry, Record, Report, UnreadableError, record_name, record_of
from pipeline.data.sources.features import FeatureError, Features, describe, features_of
from pipeline.data.sources.gzip_start import is_gzip
from pipeline.data.sources.shard_names import is_shard
from pipeline.data.sources.split_words import splits_in
from pipeline.errors import BadInputError
from pipeline.spec import Data
from pipeline.storage.tree import Tree
from pipeline.verdicts.measurements import Split
from serving.inference.tfrecord import CHECKSUM, HEADER_SIZE, LENGTH, TooLongError, masked, scan_records
from serving.status import DataLossError

log = logging.getLogger(__name__)

# What writers of shards leave beside them: `dataset_info.json`, `label.labels.txt`, `_SUCCESS`, `README.md`.
_BESIDE = (".json", ".txt", ".md", ".pbtxt", ".crc")
_EXAMPLES = 5


class TfrecordSource:
    """Shards below the root of a tree."""

    is_sharded = True

    def __init__(self, data: Data, tree: Tree) -> None:
        self._data = data
        self._tree = tree
        self._features = features_of(data)

    @property
    def address(self) -> str:
        return self._tree.address

    @property
    def named_splits(self) -> frozenset[Split]:
        return frozenset()

    def entries(self, report: Report) -> Iterator[Entry]:
        skipped: list[str] = []
        count = 0
        for found in self._tree.files(report):
            if not is_shard(found.name):
                self._leave(found.name, skipped, report)
                continue
            count += 1
            try:
                split = self._split_of(found.name)
            except _AmbiguousError as error:
                report(self._tree.shown(found.name), str(error))
                continue
            yield Entry(found.name, found.size, found.stamp, split=split)
        if skipped:
            more = ", ..." if len(skipped) > _EXAMPLES else ""
            log.info("%s: skipped %s%s", self.address, ", ".join(skipped[:_EXAMPLES]), more)
        if not count:
            raise BadInputError(
                f"data.images: {self.address} has no TFRecord shard; names such as train-00000-of-00010 and "
                f"train.tfrecord are expected"
            )

    def read(self, entry: Entry) -> bytes:  # noqa: ARG002 - of the protocol
        raise UnreadableError("is a shard, and not one image")

    def records(self, shard: Entry, report: Report) -> Iterator[Record]:
        with self._tree.open(shard.name) as opened:
            stream = _uncompressed(opened)
            number = -1
            for number, stored in enumerate(_scanned(stream)):
                record = self._record(shard, number, stored, report)
                if record is not None:
                    yield record
            if number < 0:
                raise UnreadableError("has no records; write it again or remove it")

    def shown(self, name: str) -> str:
        record = record_of(name)
        if record is None:
            return self._tree.shown(name)
        shard, number = record
        return f"record {number} of {self._tree.shown(shard)}"

    def _leave(self, name: str, skipped: list[str], report: Report) -> None:
        base = name.rpartition("/")[2]
        if not base.startswith((".", "_")) and not base.endswith(_BESIDE):
            report(self._tree.shown(name), "is not named like a TFRecord shard; rename it or remove it")
        elif len(skipped) <= _EXAMPLES:
            skipped.append(name)

    def _split_of(self, name: str) -> Split | None:
        """The split in the name of the shard, or else in that of the nearest folder with one."""
        if self._data.splits != "given":
            return None
        for part in reversed(name.split("/")):
            splits = splits_in(part)
            if len(splits) > 1:
                raise _AmbiguousError(f"names more than one split: {', '.join(sorted(splits))}; rename it")
            if splits:
                return splits.pop()
        return None

    def _record(self, shard: Entry, number: int, stored: bytes | DataLossError, report: Report) -> Record | None:
        """A record, or None if it was reported. Its own feature names the split before the name of the shard."""
        name = record_name(shard.name, number)
        if isinstance(stored, DataLossError):
            report(self.shown(name), "is damaged: its checksum is wrong; write the shard again")
            return None
        try:
            content, label, split, slices = describe(stored, self._features_for(shard))
        except FeatureError as error:
            report(self.shown(name), str(error))
            return None
        return Record(number, content, label, split or shard.split, slices)

    def _features_for(self, shard: Entry) -> Features:
        return self._features._replace(
            is_split_required=self._features.is_split_required and shard.split is None,
        )


class _AmbiguousError(Exception):
    """A name has the words of two splits."""


def _scanned(stream: IO[bytes]) -> Iterator[bytes | DataLossError]:
    """The records, with each error of the format as an `UnreadableError`."""
    number = -1
    scanned = scan_records(stream, most=MOST_BYTES)
    try:
        for number, stored in enumerate(scanned):  # noqa: B007 - the number of the last one is needed
            yield stored
    except TooLongError as error:
        raise UnreadableError(
            f"cannot be read from record {number + 1} on: {error.message}; make it smaller"
        ) from error
    except (DataLossError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if number < 0:
            raise UnreadableError(
                "is not a TFRecord shard, uncompressed or with GZIP, or its first record is damaged; write it again"
            ) from error
        reason = error.message if isinstance(error, DataLossError) else str(error)
        raise UnreadableError(f"cannot be read beyond record {number} ({reason}); copy or write it again") from error


def _uncompressed(stream: BinaryIO) -> IO[bytes]:
    """The stream, through GZIP if its first bytes say so and are not the header of a record."""
    header = stream.read(HEADER_SIZE)
    stream.seek(0)
    if is_gzip(header) and not _is_header(header):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    return stream


def _is_header(header: bytes) -> bool:
    """Whether the checksum of a length fits: a record of 35,615 bytes begins as GZIP does."""
    import google_crc32c  # noqa: PLC0415 - only for what looks like GZIP

    return len(header) == HEADER_SIZE and header[LENGTH.size :] == CHECKSUM.pack(
        masked(google_crc32c.value(header[: LENGTH.size]))
    )
