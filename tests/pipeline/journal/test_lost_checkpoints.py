"""After entries were lost, or where checkpoints cannot be read, verbs still decide, and read not much more."""

from collections.abc import Callable

import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.errors import StorageError
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import EVERY, Journal, JournalWriter
from pipeline.storage.memory import MemoryBucket
from tests.releases import MODEL

LOST = 4 * EVERY


class Shut(MemoryBucket):
    """A bucket that refuses everything below `checkpoints/`, as a permission for single folders does."""

    def names(self, key: str, *, after: str = "") -> list[str]:
        self._require_open(key)
        return super().names(key, after=after)

    def read(self, key: str) -> bytes:
        self._require_open(key)
        return super().read(key)

    def create(self, key: str, content: bytes) -> bool:
        self._require_open(key)
        return super().create(key, content)

    def _require_open(self, key: str) -> None:
        if key.startswith("checkpoints/"):
            raise StorageError(f"{key}: 403")


class Counted(MemoryBucket):
    """Counts the entries that are read."""

    entries_read = 0

    def read(self, key: str) -> bytes:
        self.entries_read += key.startswith("journal/")
        return super().read(key)


def write(bucket: MemoryBucket, entries: int, *, why: str) -> None:
    """So many freezes. A checkpoint is written whenever one is due."""
    journal = JournalWriter(bucket, MODEL, run_key="freeze-1", actor="ann", clock=SystemClock())
    for number in range(entries):
        journal.decide(_frozen(f"{why} {number}"))
        journal.write_checkpoint()


def _frozen(reason: str) -> Callable[[History], Change]:
    return lambda history: Change(Event.FROZEN, 0, reason, history.state)


def read_by(bucket: Counted) -> int:
    """How many entries a new reader reads."""
    before = bucket.entries_read
    Journal(bucket, MODEL).read()
    return bucket.entries_read - before


def test_checkpoints_of_lost_entries_do_not_hide_those_of_the_others() -> None:
    bucket = Counted()
    write(bucket, 40 * EVERY, why="first")
    healthy = read_by(bucket)
    for seq in range(40 * EVERY - LOST + 1, 40 * EVERY + 1):
        bucket.delete(layout.entry(MODEL, seq))

    assert healthy <= 2 * EVERY
    assert read_by(bucket) <= 3 * EVERY
    for _ in range(2 * LOST // EVERY):
        write(bucket, EVERY, why="second")
        assert read_by(bucket) <= 2 * EVERY + LOST


@pytest.mark.parametrize("entries", [3, 5 * EVERY])
def test_a_folder_of_checkpoints_that_cannot_be_read_stops_nothing(
    entries: int, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = Shut()
    write(bucket, entries, why="shut")
    history = Journal(bucket, MODEL).read()

    assert (entries, f"shut {entries - 1}") == (history.seq, history.last.reason if history.last else None)
    assert "no checkpoint of the journal is used: checkpoints/digits: 403" in caplog.text


def test_pages_that_cannot_be_read_are_made_from_the_entries() -> None:
    class NoPages(MemoryBucket):
        shut = False

        def read(self, key: str) -> bytes:
            if self.shut and "/pages/" in key:
                raise StorageError(f"{key}: input/output error")
            return super().read(key)

    bucket = NoPages()
    write(bucket, 5 * EVERY, why="page")
    bucket.shut = True
    history = Journal(bucket, MODEL).read()

    assert history.past.is_stored
    found = history.of_run("freeze-1", Event.FROZEN)
    assert found is not None
    assert None is history.of_run("freeze-2", Event.FROZEN)
