"""A manifest: a CSV or Parquet file that names the images, with their labels."""

import logging
import os
import posixpath
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.data.source import Entry, Record, Report
from pipeline.data.sources.manifest_rows import Columns, SourceRow, csv_rows, parquet_rows
from pipeline.data.sources.manifest_table import ListedImage, ManifestTable, manifest_table
from pipeline.data.sources.split_words import EXPECTED, split_of_word
from pipeline.errors import BadInputError
from pipeline.spec import Data
from pipeline.storage.tree import Found, Tree, UnreadableError
from pipeline.verdicts.measurements import Split

log = logging.getLogger(__name__)

_MISSING = "does not exist"


class ManifestSource:
    """The images that a manifest names.

    Their paths are relative to the folder of the manifest, or absolute and below it.

    Args:
        data: the names of the columns, and whether the split is given.
        tree: the folder of the manifest.
        name: the manifest's name in it.
    """

    is_sharded = False

    def __init__(self, data: Data, tree: Tree, name: str) -> None:
        self._data = data
        self._tree = tree
        self._name = name

    @property
    def address(self) -> str:
        return self._tree.shown(self._name)

    @property
    def named_splits(self) -> frozenset[Split]:
        return frozenset()

    def entries(self, report: Report) -> Iterator[Entry]:
        with manifest_table() as table:
            self.fill(table, report)
            found = self._joined(table) if "://" in self._tree.address else self._looked_up(table)
            for listed, file in found:
                if isinstance(file, Found):
                    yield Entry(file.name, file.size, file.stamp, listed.label, listed.split, listed.slices)
                else:
                    report(self.shown(listed.name), f"{file}; row {listed.number} of {self.address} names it")

    def read(self, entry: Entry) -> bytes:
        return self._tree.read(entry.name, stamp=entry.stamp)

    def records(self, shard: Entry, report: Report) -> Iterator[Record]:  # noqa: ARG002 - of the protocol
        raise UnreadableError("is one image, and not a shard")

    def shown(self, name: str) -> str:
        return self._tree.shown(name)

    def fill(self, table: ManifestTable, report: Report) -> None:
        """Read every row into the table, and report those that cannot be used."""
        try:
            with self._tree.open(self._name) as stream:
                count = self._read(stream, table, report)
        except UnreadableError as error:
            raise BadInputError(f"data.images: {self.address} {error}; correct the path") from error
        if not count:
            raise BadInputError(f"data.images: {self.address} has no rows; each row should name an image and its label")

    def _read(self, stream: BinaryIO, table: ManifestTable, report: Report) -> int:
        """As `fill`; the number of rows."""
        read_rows = parquet_rows if self._name.lower().endswith(".parquet") else csv_rows
        columns, rows = read_rows(stream, self._data, manifest=self.address)
        if columns.ignored_split is not None:
            log.info(
                "%s: the column %r is ignored, because data.splits is content", self.address, columns.ignored_split
            )
        count = 0
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last one is needed
            self._take(row, columns, table, report)
        return count

    def _take(self, row: SourceRow, columns: Columns, table: ManifestTable, report: Report) -> None:
        """Add the image of a row to the table, or report the row."""
        path = row.fields[0] if row.fields else ""
        try:
            listed = self._listed(row, columns)
        except _RowError as error:
            shown = path or f"row {row.number} of {self.address}"
            where = f" (row {row.number} of {self.address})" if path else ""
            report(shown, f"{error}{where}")
            return
        before = table.add(listed)
        if before is not None and (before.label, before.split) != (listed.label, listed.split):
            table.leave_out(listed.name)
            what, *values = (
                ("labels", before.label, listed.label)
                if before.label != listed.label
                else ("splits", before.split or "none", listed.split or "none")
            )
            report(
                self.shown(listed.name),
                f"has two {what} in {self.address}: {values[0]!r} in row {before.number} and {values[1]!r} in row "
                f"{row.number}; keep one",
            )

    def _listed(self, row: SourceRow, columns: Columns) -> ListedImage:
        if row.problem:
            raise _RowError(f"{row.problem}; correct it")
        path, label, *slices = row.fields
        word = slices.pop() if columns.has_split else ""
        values = tuple(value.strip() for value in slices)
        return ListedImage(self._name_of(path), row.number, _label(label), _split(word), values)

    def _name_of(self, path: str) -> str:
        """The name of an image below the root, for the path in its row."""
        if not path.strip():
            raise _RowError("names no path; add it or remove the row")
        if "\0" in path:
            raise _RowError("contains a NUL character in its path; correct it")
        if path.startswith("/") or "://" in path:
            path = self._below_root(path)
        if ".." in path.split("/"):
            raise _RowError(f"is refused, because it contains '..'; images have to be below {self._tree.address}")
        name = posixpath.normpath(path)
        if name == ".":
            raise _RowError("names a folder; name an image")
        return name

    def _below_root(self, path: str) -> str:
        root = self._tree.address.rstrip("/")
        # A link to the folder may stand in its address, and the folder itself in the paths.
        for folder in (root, root if "://" in root else os.path.realpath(root)):
            if path.startswith(f"{folder}/"):
                return path[len(folder) :].lstrip("/")
        raise _RowError(f"is not below {root}, the folder of the manifest; move the manifest or the image")

    def _looked_up(self, table: ManifestTable) -> Iterator[tuple[ListedImage, Found | str]]:
        """Each image with its file, or with what is wrong with it. On a disk a look at one file costs little."""
        for listed in table.images():
            try:
                yield listed, self._tree.find(listed.name)
            except UnreadableError as error:
                yield listed, str(error)

    def _joined(self, table: ManifestTable) -> Iterator[tuple[ListedImage, Found | str]]:
        """As `_looked_up`, by one listing of the whole tree: one answer of an object store has 1,000 names.

        Both are in the same order, so neither has to be in memory.
        """
        files = self._tree.files(_ignore)
        file = next(files, None)
        for listed in table.images():
            while file is not None and file.name < listed.name:
                file = next(files, None)
            is_there = file is not None and file.name == listed.name
            yield listed, file if file is not None and is_there else _MISSING


class _RowError(Exception):
    """What is wrong with a row; the end of a sentence."""


def _label(cell: str) -> str:
    label = cell.strip()
    if not label:
        raise _RowError("has no label; add it or remove the row")
    if "\0" in label:
        raise _RowError(f"has the label {label!r}, which contains a NUL character; correct it")
    return label


def _split(cell: str) -> Split | None:
    """The split of a row. An empty cell: it follows from the content."""
    if not cell.strip():
        return None
    split = split_of_word(cell)
    if split is None:
        raise _RowError(f"has the split {cell!r}; use one of {EXPECTED}, or leave it empty")
    return split


def _ignore(_path: str, _reason: str) -> None:
    """What the manifest does not name does not matter; what it names and is unusable is reported as missing."""
