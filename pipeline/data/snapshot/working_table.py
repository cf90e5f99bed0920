"""What a snapshot works with: the listing, what is known, and a row for each file, in a SQLite file.

A file and not memory, so that a snapshot of 10^8 images needs no more memory than one of 10^4. It lives in a temporary
folder and ends with the snapshot; what is worth keeping is in manifests.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.data.snapshot.manifest_file import Shard
from pipeline.data.snapshot.rows import COLUMNS, Row, slices_text
from pipeline.data.source import Entry

# Pages in memory, in kB; the same for every size of data set.
_CACHE = 32_000
_BATCH = 5_000
_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join("?" for _ in COLUMNS)
# Of a listing and of its rows.
_LISTED = ("name", "size", "stamp", "label", "given", "slices")
_OF_A_FILE = ", ".join(f"k.{name}" for name in COLUMNS if name not in _LISTED)

_TABLES = f"""
    CREATE TABLE listed (ordinal INTEGER PRIMARY KEY, name TEXT UNIQUE, size INT, stamp TEXT, label TEXT, given TEXT, slices TEXT);
    CREATE TABLE known ({_NAMES}, PRIMARY KEY (name, stamp, digest)) WITHOUT ROWID;
    CREATE TABLE files (ordinal INTEGER PRIMARY KEY, {_NAMES});
    CREATE TABLE problems (path TEXT, reason TEXT);
"""  # noqa: E501 - the columns of this module


class WorkingTable:
    """The tables of one snapshot. Not safe to use from several threads.

    Attributes:
        database: for `pipeline.data.snapshot.resolving`, which computes with these tables.
    """

    def __init__(self, folder: Path) -> None:
        self.database = sqlite3.connect(folder / "snapshot.sqlite", isolation_level=None)
        # Nothing here outlives the process, so nothing has to survive a crash.
        for name, value in {
            "journal_mode": "OFF",
            "synchronous": "OFF",
            "cache_size": -_CACHE,
            "temp_store": 1,
        }.items():
            self.database.execute(f"PRAGMA {name} = {value}")
        self.database.executescript(_TABLES)
        self.database.execute("BEGIN")

    def close(self) -> None:
        self.database.close()

    def add_problem(self, path: str, reason: str) -> None:
        """Keep what is wrong with a path that is in no row."""
        self.database.execute("INSERT INTO problems VALUES (?, ?)", (path, reason))

    def add_known(self, rows: Iterable[Row]) -> None:
        """Add what an earlier snapshot has found. There may be several contents that had the same name."""
        self.database.executemany(f"INSERT OR REPLACE INTO known VALUES ({_MARKS})", rows)  # noqa: S608 - see above

    def forget_all(self) -> None:
        """Know nothing."""
        self.database.execute("DELETE FROM known")

    def forget_stamps(self) -> None:
        """Make every file be read again."""
        self.database.execute("UPDATE OR REPLACE known SET stamp = ''")

    def forget_stored(self, digests: Iterable[str]) -> set[str]:
        """Make the files be read again whose stored images have these SHA-256; the names of these files."""
        names = set()
        for digest in digests:
            stored = (bytes.fromhex(digest),)
            names |= {name for (name,) in self.database.execute("SELECT name FROM known WHERE stored = ?", stored)}
            self.database.execute("UPDATE OR REPLACE known SET stamp = '' WHERE stored = ?", stored)
        return names

    def forget_splits(self) -> None:
        """Make the split of every image be decided again."""
        self.database.execute("UPDATE known SET split = NULL, note = NULL")

    def forget_problems(self) -> None:
        """Begin a new listing."""
        self.database.execute("DELETE FROM problems")

    def add_listing(self, entries: Iterable[Entry]) -> None:
        """Add the entries of a source in their order. Of two with the same name the first one counts."""
        numbered = (
            (number, entry.name, entry.size, entry.stamp, entry.label, entry.split, slices_text(entry.slices))
            for number, entry in enumerate(entries)
        )
        self.database.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", numbered)

    def take_known(self) -> None:
        """Give each listed file its known row, if its name, size and stamp are the same. Not for shards."""
        listed = ", ".join(f"l.{name}" for name in _LISTED)
        self.database.execute(f"""
            INSERT INTO files (ordinal, {", ".join(_LISTED)}, {_OF_A_FILE.replace("k.", "")})
            SELECT l.ordinal, {listed}, {_OF_A_FILE} FROM listed l JOIN known k ON k.name = l.name
            WHERE k.size = l.size AND k.stamp = l.stamp AND l.stamp <> ''
        """)  # noqa: S608 - the columns of this module

    def take_shard(self, shard: Shard, ordinals: Iterator[int]) -> bool:
        """Give each image of a known shard its row, with the next ordinals; whether all of them are known."""
        name, _, stamp, count = shard
        of_shard = "FROM known WHERE name > ? AND name < ? AND stamp = ?"
        bounds = (f"{name}#", f"{name}$", stamp)
        (known,) = self.database.execute(f"SELECT count(*) {of_shard}", bounds).fetchone()
        if known != count:
            return False
        found = self._batches(f"SELECT name {of_shard} ORDER BY name", bounds)
        self.database.executemany(
            f"INSERT INTO files SELECT ?, {_NAMES} FROM known WHERE name = ? AND stamp = ?",  # noqa: S608 - see above
            ((next(ordinals), each, stamp) for (each,) in found),
        )
        return True

    def listed(self) -> Iterator[Entry]:
        """The whole listing, without slices."""
        for found in self._batches("SELECT name, size, stamp, label, given FROM listed ORDER BY ordinal"):
            yield Entry(*found)

    def unread(self) -> Iterator[tuple[int, Entry, str]]:
        """The listed files without a row: ordinal, entry, slices as in a row. Rows may be added meanwhile."""
        after = -1
        while True:
            found = self.database.execute(
                """
                SELECT l.* FROM listed l LEFT JOIN files f ON f.ordinal = l.ordinal
                WHERE l.ordinal > ? AND f.ordinal IS NULL ORDER BY l.ordinal LIMIT ?
                """,
                (after, _BATCH),
            ).fetchall()
            if not found:
                return
            for ordinal, name, size, stamp, label, given, slices in found:
                yield ordinal, Entry(name, size, stamp, label, given), slices
            after = found[-1][0]

    def add_rows(self, rows: Iterable[tuple[int, Row]]) -> int:
        """Add rows with their ordinals; how many there were."""
        numbered = ((ordinal, *row) for ordinal, row in rows)
        return self.database.executemany(
            f"INSERT INTO files VALUES (?, {_MARKS})",  # noqa: S608 - see above
            numbered,
        ).rowcount

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the listing."""
        return map(Row._make, self._batches(f"SELECT {_NAMES} FROM files ORDER BY ordinal"))  # noqa: S608 - see above

    def vanished(self) -> Iterator[Row]:
        """Known images that no file shows any more, and whose split does not follow from their content alone."""
        return map(
            Row._make,
            self._batches(f"""
                SELECT {_NAMES} FROM known WHERE split IS NOT NULL AND phash IS NOT NULL
                    AND digest NOT IN (SELECT digest FROM files WHERE digest IS NOT NULL) GROUP BY digest
            """),  # noqa: S608 - the columns of this module
        )

    def problems(self) -> Iterator[tuple[str, str]]:
        """The problems that are in no row, each a path and a reason."""
        return self._batches("SELECT path, reason FROM problems")

    def count_problems(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM problems").fetchone()[0])

    def _batches(self, query: str, parameters: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        cursor = self.database.execute(query, parameters)
        while found := cursor.fetchmany(_BATCH):
            yield from found
