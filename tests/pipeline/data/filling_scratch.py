"""A program for the tests: write too much to the temporary folder of a snapshot, and print the error.

    TMPDIR=FOLDER python -m tests.pipeline.data.filling_scratch {table|parquet|file} {disk|limit}

`disk`: FOLDER is a small disk of its own. `limit`: the system refuses files of more than a few pages.
"""

import os
import resource
import sys
from pathlib import Path

from pipeline.data.snapshot.scratch import scratch_folder
from pipeline.data.snapshot.working_table import WorkingTable
from pipeline.data.source import Entry
from pipeline.errors import StorageError

ROOM = 96 << 10
# More than the disk has, and than the pages of SQLite that stay in memory.
LARGE = 48 << 20


def fill_table(folder: Path) -> None:
    table = WorkingTable(folder)
    try:
        table.add_listing(Entry(f"{number:09}/{'x' * 4000}.png", 1, "1", "cat") for number in range(LARGE // 4000))
    finally:
        table.close()


def fill_parquet(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"name": [os.urandom(LARGE // 8)]}), folder / "x.parquet")


def fill_file(folder: Path) -> None:
    (folder / "x").write_bytes(bytes(LARGE))


FILL = {"table": fill_table, "parquet": fill_parquet, "file": fill_file}


def main(what: str, how: str) -> None:
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    try:
        with scratch_folder() as folder:
            FILL[what](folder)
    except StorageError as error:
        left = [path for path in folder.parent.iterdir() if path == folder]
        sys.stdout.write(f"{error}{left or ''}")


if __name__ == "__main__":
    main(*sys.argv[1:])
