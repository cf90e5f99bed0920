"""The rows of a manifest, sorted by path and each path once, in a file, so that memory does not grow with them."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.verdicts.measurements import Split

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE images (
    name TEXT PRIMARY KEY, number INTEGER, label TEXT, split TEXT, slices TEXT, is_used INTEGER DEFAULT 1
) WITHOUT ROWID;
"""


class ListedImage(NamedTuple):
    """An image of a manifest. `name` is its path below the root, `number` that of its row."""

    name: str
    number: int
    label: str
    split: Split | None
    slices: tuple[str, ...]


class ManifestTable:
    """Images by name."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, listed: ListedImage) -> ListedImage | None:
        """Add an image; the row before it with the same name, if there is one. The row before is kept."""
        name, number, label, split, slices = listed
        added = self._connection.execute(
            "INSERT OR IGNORE INTO images (name, number, label, split, slices) VALUES (?, ?, ?, ?, ?)",
            (name, number, label, split, json.dumps(slices) if slices else ""),
        )
        if added.rowcount:
            return None
        return next(self._images("WHERE name = ?", name))

    def leave_out(self, name: str) -> None:
        """Do not list the image."""
        self._connection.execute("UPDATE images SET is_used = 0 WHERE name = ?", (name,))

    def images(self) -> Iterator[ListedImage]:
        """Every image that is used, in the lexical order of the names."""
        return self._images("WHERE is_used ORDER BY name")

    def _images(self, where: str, *values: str) -> Iterator[ListedImage]:
        query = f"SELECT name, number, label, split, slices FROM images {where}"  # noqa: S608 - no part is input
        for name, number, label, split, slices in self._connection.execute(query, values):
            yield ListedImage(
                name, number, label, cast("Split | None", split), tuple(json.loads(slices)) if slices else ()
            )


@contextmanager
def manifest_table() -> Iterator[ManifestTable]:
    """An empty table, which is deleted afterwards. It may be closed by another thread than the one that fills it."""
    with tempfile.TemporaryDirectory(prefix="understudy-manifest-") as folder:
        path = Path(folder) / "images.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            yield ManifestTable(connection)
