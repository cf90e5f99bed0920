"""Near-duplicates: an image that looks like another one is in the same split, so that the gate is not deceived.

Two images look alike if few of the 64 bits of their perceptual hashes differ. The hash has four groups of 16 bits. Of
two hashes that differ in at most three bits, at least one group is equal, so an index for each group finds every pair
(G. S. Manku, A. Jain, A. Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007).
"""

from sqlite3 import Connection

from pipeline.verdicts.measurements import Split

_GROUPS = 4
_BITS = 16
_MASK = (1 << _BITS) - 1
_WORD = (1 << 64) - 1
_SPLITS: tuple[Split, ...] = ("train", "validation", "holdout")


def settle_near_duplicates(database: Connection, bits: int | None) -> None:
    """Settle the split of each image that has a perceptual hash and no split yet, in the order of their contents.

    Without a match the image gets the split of its own content. With matches in one split it joins that one. If its
    matches are in several splits, or the source gives it another one than theirs, it is left out: wherever it was, the
    model would be tested on what it was trained on.

    Args:
        database: that of a `WorkingTable`, with the functions of `pipeline.data.snapshot.resolving`.
        bits: how many bits may differ; None: look for none.
    """
    if bits is None:
        return
    pending = "status = 'used' AND split IS NULL AND phash IS NOT NULL"
    if not database.execute(f"SELECT 1 FROM files WHERE {pending} LIMIT 1").fetchone():  # noqa: S608 - see above
        return
    database.create_function("bits", 2, lambda a, b: ((a ^ b) & _WORD).bit_count(), deterministic=True)
    _make_looks(database)
    database.execute(f"CREATE TEMP TABLE pending AS SELECT ordinal FROM files WHERE {pending} ORDER BY digest")  # noqa: S608
    numbered = database.execute("SELECT ordinal FROM pending ORDER BY rowid")
    while found := numbered.fetchmany(1000):
        for (ordinal,) in found:
            _settle(database, ordinal, bits)


def _make_looks(database: Connection) -> None:
    """A table with each hash of each split once, and the name of its oldest image.

    A camera that does not move makes thousands of equal hashes. With the split in each index, the first match in a
    split is found without a look at the others.
    """
    database.execute(
        "CREATE TEMP TABLE looks (phash INT, split TEXT, name TEXT, PRIMARY KEY (phash, split)) WITHOUT ROWID"
    )
    for group in range(_GROUPS):
        database.execute(f"CREATE INDEX temp.looks_{group} ON looks (split, {_group_of(group)})")
    database.execute("""
        INSERT OR IGNORE INTO looks SELECT phash, split, name FROM files
            WHERE split IS NOT NULL AND phash IS NOT NULL ORDER BY since, digest
    """)


def _settle(database: Connection, ordinal: int, bits: int) -> None:
    name, phash, given, own = database.execute(
        "SELECT name, phash, given, proper_split(digest, given) FROM files WHERE ordinal = ?", (ordinal,)
    ).fetchone()
    found = {split: match for split in _SPLITS if (match := _match(database, phash, split, bits)) is not None}
    if not found:
        _decide(database, ordinal, status="used", split=own, note=None)
        database.execute("INSERT OR IGNORE INTO looks VALUES (?, ?, ?)", (phash, own, name))
        return
    described = ", ".join(f"{match} ({split})" for split, match in sorted(found.items()))
    split = next(iter(found))
    (allowed,) = database.execute("SELECT may_be_in(?, ?)", (split, given)).fetchone()
    if len(found) == 1 and allowed:
        _decide(database, ordinal, status="used", split=split, note=f"looks like {described}")
        database.execute("INSERT OR IGNORE INTO looks VALUES (?, ?, ?)", (phash, split, name))
    else:
        where = f"is given for {given}, and " if given else ""
        _decide(database, ordinal, status="left out", split=None, note=f"{where}looks like {described}")


def _match(database: Connection, phash: int, split: Split, bits: int) -> str | None:
    """An image of a split that looks like a hash: an equal one, or else any; None if there is none."""
    equal = "SELECT shown(name) FROM looks WHERE split = ? AND phash = ?"
    near = " UNION ALL ".join(
        f"SELECT shown(name) FROM looks WHERE split = ? AND {_group_of(group)} = ? AND bits(phash, ?) <= ?"  # noqa: S608
        for group in range(_GROUPS)
    )
    values: list[object] = [split, phash]
    for group in range(_GROUPS):
        values += [split, (phash >> (_BITS * group)) & _MASK, phash, bits]
    found = database.execute(f"{equal} UNION ALL {near} LIMIT 1", values).fetchone()
    return found[0] if found else None


def _decide(database: Connection, ordinal: int, *, status: str, split: str | None, note: str | None) -> None:
    database.execute(
        "UPDATE files SET status = ?, split = ?, note = ? WHERE ordinal = ?", (status, split, note, ordinal)
    )


def _group_of(group: int) -> str:
    """SQL for one group of bits; the mask also makes the result of SQLite's signed shift the same as Python's."""
    return f"((phash >> {_BITS * group}) & {_MASK})"
