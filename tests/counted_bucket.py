"""A bucket that counts its calls, and long journals for it, to see whether work grows with the history."""

from collections import Counter
from functools import cache, partial
from typing import Any, cast

from bench.retention import history
from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.journal.entries import Change, Event
from pipeline.journal.journal import JournalWriter
from pipeline.storage.bucket import Bucket
from pipeline.storage.memory import MemoryBucket
from tests.releases import MODEL


class CountedBucket:
    """Another bucket.

    Attributes:
        calls: how many calls of each method there were.
        entries: how many entries were read.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.calls: Counter[str] = Counter()
        self.entries = 0

    def __getattr__(self, name: str) -> Any:
        return partial(self._called, name)

    def _called(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.calls[name] += 1
        keys = arguments[0] if name == "read_all" else arguments[:1] if name == "read" else ()
        self.entries += sum(key.startswith(layout.journal(MODEL)) for key in keys)
        return getattr(self.bucket, name)(*arguments, **options)


@cache
def long_journal(entries: int) -> MemoryBucket:
    """So many entries of releases that went well, five for each version, and a freeze; with a checkpoint.

    It is made once for all tests, which must not write to it.
    """
    bucket = MemoryBucket()
    for entry in history(-(-entries // 5)):
        if entry.seq < entries:
            bucket.create(layout.entry(MODEL, entry.seq), entry.model_dump_json(indent=1).encode())
    journal = JournalWriter(bucket, MODEL, run_key="freeze-1", actor="ann", clock=SystemClock())
    journal.decide(lambda found: Change(Event.FROZEN, 0, "a test", found.state))
    journal.write_checkpoint()
    return bucket


def counted(bucket: MemoryBucket) -> CountedBucket:
    """The same bucket, counted from now on."""
    return CountedBucket(bucket)


def as_bucket(bucket: CountedBucket) -> Bucket:
    """For the type checker, which does not see the methods."""
    return cast("Bucket", bucket)
