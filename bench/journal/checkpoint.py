"""What a checkpoint costs: to write one, next to an entry, and in bytes; and reading where there is none yet."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.journal.made import KEPT, append, changes, context_of, retirement
from pipeline import layout
from pipeline.context import RunContext
from pipeline.journal.entries import Change
from pipeline.journal.journal import EVERY
from tests.releases import MODEL

# So many entries are written to see what their checkpoints add.
ADDED = 1000


@dataclass(frozen=True)
class Cost:
    """Of an entry, and of a checkpoint that follows `EVERY` of them: seconds and calls."""

    entry_seconds: float
    entry_calls: float
    seconds: float
    calls: int


@dataclass(frozen=True)
class Sizes:
    """Bytes: of the entries that were added, of new objects of checkpoints, and of one whole checkpoint."""

    entries: int
    added: int
    objects: int
    whole: int


def cost(root: str, calls: Callable[[], int]) -> Cost:
    """Write entries, as the verbs of releases do, until a checkpoint is due, and that one."""
    context = context_of(root, "retrain-next")
    coming = _coming(context, retained=False)
    before, seconds = calls(), []
    for _ in range(EVERY):
        began = time.perf_counter()
        append(context, next(coming))
        seconds.append(time.perf_counter() - began)
    counted = calls()
    began = time.perf_counter()
    context.journal.write_checkpoint()
    took = time.perf_counter() - began
    assert calls() > counted or calls() == 0, "no checkpoint was due"
    return Cost(statistics.median(seconds), (counted - before) / EVERY, took, calls() - counted)


def sizes(bucket: Path, *, retained: bool) -> Sizes:
    """What more entries and their checkpoints add, to a bucket on a disk. A verb writes two or three entries."""
    folder, journal = bucket / layout.journal_checkpoints(MODEL), bucket / layout.journal(MODEL)
    before, entries = _found(folder), _found(journal)
    context = context_of(str(bucket), "retrain-next")
    coming = _coming(context, retained=retained)
    for number in range(ADDED):
        append(context, next(coming))
        if number % 3 == 2:
            context.journal.write_checkpoint()
            context = context_of(str(bucket), f"retrain-next-{number}")
    after = _found(folder)
    added = [size for name, size in after.items() if name not in before]
    more = sum(_found(journal).values()) - sum(entries.values())
    return Sizes(more, sum(added), len(added), _whole(bucket, after))


def first_read(bucket: str) -> float:
    """The time until the journal is read where nothing is known of it."""
    context = context_of(bucket, "look-1")
    began = time.perf_counter()
    context.journal.read()
    return time.perf_counter() - began


def _coming(context: RunContext, *, retained: bool) -> Iterator[Change]:
    """The changes of releases to come."""
    state = context.journal.read().state
    while True:
        version = state.next_version
        for change in changes(version, state):
            state = change.state
            yield change
        retired = retirement(version, state) if retained and version > KEPT else None
        if retired:
            yield retired


def _found(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _whole(bucket: Path, found: dict[str, int]) -> int:
    """The bytes of the newest checkpoint and all its pages."""
    pages = f"{bucket / layout.journal_pages(MODEL)}/"
    newest = max(name for name in found if not name.startswith(pages))
    named: dict[str, str] = json.loads(Path(newest).read_bytes())["pages"]
    return found[newest] + sum(found[str(bucket / layout.journal_page(MODEL, *each))] for each in named.items())
