"""From files to a data set: which file counts for an image, which images contradict each other, who is in which split.

Everything here works on the table `files` of `pipeline.data.snapshot.working_table`, in whole tables where that is
possible. The result depends on the contents of the files, on their order in the listing, and on the splits that were
given before.
"""

import hashlib
from collections.abc import Callable
from sqlite3 import Connection

from pipeline.data.snapshot.near_duplicates import settle_near_duplicates
from pipeline.data.snapshot.splits import split_of, training_split_of
from pipeline.spec import Data
from pipeline.verdicts.measurements import DataSummary, Split


def resolve(database: Connection, data: Data, *, at: str, named: frozenset[Split], shown: Callable[[str], str]) -> None:
    """Give every file its status, its split and its note.

    The gate needs images that training never sees. So if a source gives one other split than `train`, that one is held
    out for the gate, whatever its name is, and the images for validation are taken from `train` by their contents.

    Args:
        database: that of a `WorkingTable`, with a row for each file that was read.
        data: the shares of the splits, and how alike near-duplicates are.
        at: the moment of this snapshot, which is that of the rows that it has read.
        named: splits that the source gives, also if they have no image now.
        shown: a name as people know it.
    """
    splits = {given for (given,) in database.execute("SELECT DISTINCT given FROM files WHERE given IS NOT NULL")}
    has_validation = {"validation", "holdout"} <= splits | named

    def proper(digest: bytes, given: str | None) -> str:
        if given is None:
            return split_of(digest.hex(), data)
        if has_validation:
            return given
        return training_split_of(digest.hex(), data) if given == "train" else "holdout"

    def may_be_in(split: str, given: str | None) -> bool:
        if given is None or has_validation:
            return given in (None, split)
        return (split == "holdout") is (given != "train")

    database.create_function("proper_split", 2, proper, deterministic=True)
    database.create_function("may_be_in", 2, may_be_in, deterministic=True)
    database.create_function("shown", 1, shown, deterministic=True)
    database.create_function("quoted", 1, repr, deterministic=True)
    database.executescript("""
        CREATE INDEX files_digest ON files (digest);
        CREATE TEMP TABLE several AS SELECT digest, count(DISTINCT label) AS labels, count(DISTINCT given) AS splits
            FROM files WHERE stored IS NOT NULL GROUP BY digest HAVING count(*) > 1;
        UPDATE files SET status = 'used', note = NULL WHERE stored IS NOT NULL AND status <> 'used';
    """)
    _mark_contradictions(database)
    _mark_duplicates(database)
    _recall(database, at)
    settle_near_duplicates(database, data.near_duplicates)
    database.execute("UPDATE files SET split = proper_split(digest, given) WHERE status = 'used' AND split IS NULL")


def _mark_contradictions(database: Connection) -> None:
    """Images with two labels, or given for two splits, are used in none."""
    for column, several, states, here in (
        ("label", "labels", "which has the label", "and this one"),
        ("given", "splits", "which is given for", "and this one for"),
    ):
        database.execute(f"""
            UPDATE files SET status = 'unusable', split = NULL, note = 'is the same image as ' || (
                SELECT shown(o.name) || ', {states} ' || quoted(o.{column}) FROM files o
                WHERE o.digest = files.digest AND o.{column} <> files.{column} ORDER BY o.ordinal LIMIT 1
            ) || ', {here} ' || quoted({column}) || '; keep one'
            WHERE status = 'used' AND digest IN (SELECT digest FROM several WHERE {several} > 1)
        """)  # noqa: S608 - the words above


def _mark_duplicates(database: Connection) -> None:
    """Of several files with the same content one counts: one with a given split, and of these the first."""
    first = "FROM files o WHERE o.digest = files.digest ORDER BY o.given IS NULL, o.ordinal LIMIT 1"
    database.execute(f"""
        UPDATE files SET status = 'duplicate', split = NULL,
            note = 'is the same image as ' || (SELECT shown(o.name) {first})
        WHERE status = 'used' AND digest IN (SELECT digest FROM several) AND ordinal <> (SELECT o.ordinal {first})
    """)  # noqa: S608 - the words above


def _recall(database: Connection, at: str) -> None:
    """Give an image the split that it had under another name, and the moment since when it is known.

    A split that the source gives counts more. What was left out before is decided again.
    """
    database.execute("CREATE INDEX known_digest ON known (digest)")
    database.execute(
        """
        UPDATE files SET since = min(since, (SELECT min(k.since) FROM known k WHERE k.digest = files.digest))
            WHERE since = ? AND digest IN (SELECT digest FROM known)
        """,
        (at,),
    )
    database.executescript("""
        UPDATE files SET split = (
            SELECT k.split FROM known k WHERE k.digest = files.digest AND k.split IS NOT NULL
        ) WHERE status = 'used' AND split IS NULL;
        UPDATE files SET split = NULL WHERE split IS NOT NULL AND NOT may_be_in(split, given);
        UPDATE files SET note = NULL WHERE status = 'used' AND split IS NULL;
    """)


def summarised(database: Connection, *, tiny_edge: int) -> DataSummary:
    """The figures of a resolved table.

    Args:
        database: that of a `WorkingTable`.
        tiny_edge: an image with a shorter side, in pixels, is tiny.
    """
    counts: dict[str, dict[str, int]] = {}
    for label, split, number in database.execute(
        "SELECT label, split, count(*) FROM files WHERE split IS NOT NULL GROUP BY label, split ORDER BY label, split"
    ):
        counts.setdefault(label, {})[split] = number
    of_status = dict(database.execute("SELECT status, count(*) FROM files GROUP BY status"))
    (listing_problems,) = database.execute("SELECT count(*) FROM problems").fetchone()
    near, converted, blank, tiny = database.execute(
        """
        SELECT count(note), coalesce(sum(stored <> digest), 0), coalesce(sum(blank), 0),
            coalesce(sum(min(width, height) < ?), 0) FROM files WHERE split IS NOT NULL
        """,
        (tiny_edge,),
    ).fetchone()
    return DataSummary.model_validate(
        {
            "files": sum(of_status.values()) + listing_problems,
            "unusable": of_status.get("unusable", 0) + listing_problems,
            "duplicates": of_status.get("duplicate", 0),
            "near_duplicates": near,
            "left_out": of_status.get("left out", 0),
            "converted": converted,
            "blank": blank,
            "tiny": tiny,
            "counts": counts,
        }
    )


def data_digest(database: Connection) -> str:
    """The SHA-256 of a line for each image, in the order of their contents.

    Where nothing is converted and there are no slices, the same as in snapshots from before 2026-12.
    """
    found = hashlib.sha256()
    separator = b""
    for digest, split, label, stored, slices in database.execute(
        "SELECT digest, split, label, stored, slices FROM files WHERE split IS NOT NULL ORDER BY digest"
    ):
        line = f"{digest.hex()} {split} {label}"
        if stored != digest:
            line += f" {stored.hex()}"
        if slices != "[]":
            line += f" {slices}"
        found.update(separator + line.encode())
        separator = b"\n"
    return found.hexdigest()
