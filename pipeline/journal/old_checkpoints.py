"""Checkpoints that nobody needs any more, and the pages that only they name.

All of it is derived. A reader that still needs some of it reads entries instead, which takes longer. So the rules here
are simple, and no error of the bucket is one of the caller.

A page stands for the entries up to one of them, and the facts in it only grow. So checkpoints that follow each other
share it, and it never comes back. Only pages that an old checkpoint names are deleted: a page that no checkpoint names
may be that of a writer which has not stored its checkpoint yet.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline import layout
from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.journal.checkpoints import Checkpoints
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

# The newest ones, which stay: as many as a reader tries.
KEPT = 3
# Those that go at once, so that a bucket that was neglected for years does not hold up everything else. The next
# retention deletes more.
AT_ONCE = 256

# Deleting is mostly waiting for the storage.
_THREADS = 8
_PAGE = re.compile(r"[a-z]+-[0-9a-f]+")


@dataclass(frozen=True)
class OldCheckpoints:
    """The keys of old checkpoints, and of the pages that only they name."""

    checkpoints: Sequence[str] = ()
    pages: Sequence[str] = ()

    @property
    def count(self) -> int:
        """The number of the checkpoints."""
        return len(self.checkpoints)


def old_checkpoints(bucket: Bucket, model: str, *, before: int) -> OldCheckpoints:
    """The oldest checkpoints that are not needed; at most `AT_ONCE`, and none if the bucket does not answer.

    Args:
        bucket: where they are.
        model: whose journal.
        before: whoever began to read before this entry was written has ended by now.
    """
    try:
        known = Checkpoints(bucket, model).names()
        # A reader begins with the newest checkpoint. Once there are a few newer ones, nobody begins with this one.
        old = [each for each, newer in zip(known, known[KEPT:], strict=False) if newer[0] <= before][:AT_ONCE]
        left = known[len(old) :]
        pages = _pages(bucket, model, old) - _pages(bucket, model, {*left[:KEPT], *left[-KEPT:]}) if old else ()
    except StorageError as error:
        log.warning("no old checkpoint of the journal is deleted: %s", error)
        return OldCheckpoints()
    return OldCheckpoints([layout.journal_checkpoint(model, *each) for each in old], sorted(pages))


def delete_checkpoints(bucket: Bucket, old: OldCheckpoints) -> OldCheckpoints:
    """Delete them; nothing is returned if the bucket refused, and then the next retention deletes the rest.

    The pages go first: if this is interrupted, the checkpoint that is left still says which they are.
    """
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            for keys in (old.pages, old.checkpoints):
                for first in range(0, len(keys), AT_ONCE):
                    list(pool.map(bucket.delete, keys[first : first + AT_ONCE]))
    except StorageError as error:
        log.warning("some old checkpoints of the journal are left: %s", error)
        return OldCheckpoints()
    return old


def _pages(bucket: Bucket, model: str, checkpoints: Collection[tuple[int, str]]) -> set[str]:
    """The keys of the pages that these checkpoints name; of one that cannot be read, none."""
    stored = Checkpoints(bucket, model)
    found = (_named(stored, *each) for each in checkpoints)
    return {
        layout.journal_page(model, name, digest)
        for pages in found
        for name, digest in pages.items()
        if _PAGE.fullmatch(name) and digest.isalnum()
    }


def _named(stored: Checkpoints, seq: int, digest: str) -> Mapping[str, str]:
    try:
        return stored.read(seq, digest).pages
    except (DamagedError, MissingError):
        return {}
