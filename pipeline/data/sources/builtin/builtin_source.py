"""A built-in data set as a source. Its parts are its shards, so that a known part is neither downloaded nor drawn."""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from pipeline.data.source import BUILTIN, Entry, Record, Report, record_of
from pipeline.data.sources.builtin.data_set import Draw, FormatError
from pipeline.data.sources.builtin.files import Files
from pipeline.storage.tree import UnreadableError
from pipeline.verdicts.measurements import Split

# What readers of npz, GZIP and tar raise for files that are damaged.
_DAMAGED = (FormatError, OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


class BuiltinSource:
    """The parts of a data set.

    Args:
        name: of the data set.
        parts: the split of each part, None if it gives none.
        files: of the data set.
        draw: yields the images of a part.
    """

    is_sharded = True

    def __init__(self, name: str, parts: Mapping[str, Split | None], files: Files, draw: Draw) -> None:
        self._name = name
        self._parts = parts
        self._files = files
        self._draw = draw

    @property
    def address(self) -> str:
        return f"{BUILTIN}{self._name}"

    @property
    def named_splits(self) -> frozenset[Split]:
        return frozenset()

    def entries(self, report: Report) -> Iterator[Entry]:  # noqa: ARG002 - of the protocol
        for part in sorted(self._parts):
            size, stamp = self._files.state(part)
            yield Entry(part, size, stamp, split=self._parts[part])

    def read(self, entry: Entry) -> bytes:  # noqa: ARG002 - of the protocol
        raise UnreadableError("is a part of a data set, and not one image")

    def records(self, shard: Entry, report: Report) -> Iterator[Record]:  # noqa: ARG002 - of the protocol
        files = self._files.ready(shard.name)
        try:
            for number, drawn in enumerate(self._draw(shard.name, files)):
                yield Record(number, drawn.content, drawn.label, self._parts[shard.name])
        except _DAMAGED as error:
            named = " ".join(map(str, files))
            raise UnreadableError(f"cannot be read from {named}: it {_reason(error)}; download it again") from error

    def shown(self, name: str) -> str:
        part, number = record_of(name) or (name, None)
        where = f"{self.address}/{part}" if len(self._parts) > 1 else self.address
        return where if number is None else f"image {number} of {where}"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, FormatError) else f"is damaged ({error})"
