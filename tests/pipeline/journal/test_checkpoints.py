"""Checkpoints that are missing, damaged or stale: what is decided does not change, and the next writer repairs them."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from pipeline import layout
from pipeline.errors import StorageError
from pipeline.journal.entries import NO_VERSION, Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import Journal, JournalWriter
from pipeline.journal.pages import version_page
from pipeline.journal.state import State, claim
from pipeline.rollout.config import render
from pipeline.storage.memory import MemoryBucket
from tests.pipeline.journal.made import Kept, Made, Step
from tests.pipeline.journal.questions import all_questions, answers
from tests.protocol.clock import VirtualClock

EVERY = 4
CHECKPOINTS = layout.journal_checkpoints("digits")


class Counting(MemoryBucket):
    """It counts its calls, and may refuse to write below a prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.refuses = ""

    def create(self, key: str, content: bytes) -> bool:
        if self.refuses and key.startswith(self.refuses):
            raise StorageError(f"cannot write {key}: 503")
        return super().create(key, content)

    def read(self, key: str) -> bytes:
        self.calls["read"] += 1
        return super().read(key)

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        self.calls["entries"] += len(keys)
        return super().read_all(keys)

    def names(self, key: str, *, after: str = "") -> list[str]:
        found = super().names(key, after=after)
        self.calls["names"] += len(found)
        return found

    def keys(self, folder: str) -> list[str]:
        return [f"{folder}/{name}" for name in super().names(folder)]

    def damage(self, key: str, content: bytes) -> None:
        assert self.replace(key, content, instead_of=super().read(key))

    def lose(self, key: str) -> None:
        del self._objects[key]


@pytest.fixture
def bucket() -> Counting:
    """A journal of several releases with checkpoints and a config."""
    made = Made()
    for number in range(1, 6):
        made.do(number, Step("release", 1, 2))
    made.do(6, Step("roll back", 1, 4))
    filled = Counting()
    for entry in made.entries:
        filled.create(layout.entry("digits", entry.seq), entry.model_dump_json(indent=1).encode())
    freeze(filled)
    return filled


def writer(bucket: MemoryBucket) -> JournalWriter:
    clock = VirtualClock()
    return JournalWriter(bucket, "digits", run_key="freeze-1", actor="ann", clock=clock, every=EVERY)


def freeze(bucket: MemoryBucket) -> None:
    """A verb that writes an entry."""
    journal = writer(bucket)
    journal.decide(lambda history: Change(Event.FROZEN, NO_VERSION, "holidays", history.state))
    journal.write_checkpoint()


def read(bucket: MemoryBucket) -> History:
    return Journal(bucket, "digits", every=EVERY).read()


def require_right(bucket: MemoryBucket) -> None:
    """A new reader answers what the entries say."""
    entries = read(bucket).all()
    whole = Kept(entries).until(len(entries))
    questions = all_questions(whole)
    expected, found = answers(whole, questions), answers(read(bucket), questions)
    assert [] == [name for name in expected if expected[name] != found[name]]


def newest(bucket: Counting) -> str:
    return [key for key in bucket.keys(CHECKPOINTS) if key.endswith(".json")][-1]


def test_a_reader_begins_with_the_newest_checkpoint(bucket: Counting) -> None:
    assert (layout.checkpoint_entry(newest(bucket).rpartition("/")[2]) or (0, ""))[0] == read(bucket).past.seq
    require_right(bucket)


def test_the_newest_entries_are_always_at_hand(bucket: Counting) -> None:
    """What a decision needs is read at once."""
    for _ in range(EVERY):
        freeze(bucket)
        assert EVERY <= len(read(bucket).recent) < 2 * EVERY


def test_a_gap_after_the_newest_checkpoint_stops_everything(bucket: Counting) -> None:
    seq = read(bucket).seq - 1
    bucket.lose(layout.entry("digits", seq))

    with pytest.raises(StorageError, match=rf"has no entry \[{seq}\]"):
        read(bucket)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda content: content[:100],
    "a newer format": lambda content: content.replace(b'"format": 1', b'"format": 2'),
    "another fact": lambda content: content.replace(b'"highest_promoted": ', b'"highest_promoted": 1'),
    "another entry": lambda content: content.replace(b'"sha256": "', b'"sha256": "0'),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_checkpoint_is_ignored(bucket: Counting, what: str, caplog: pytest.LogCaptureFixture) -> None:
    key = newest(bucket)
    content = bucket.read(key)
    damaged = DAMAGES[what](content)
    assert content != damaged
    bucket.damage(key, damaged)

    require_right(bucket)
    assert f"a checkpoint is ignored: {key} is " in caplog.text


def test_a_checkpoint_of_another_entry_is_ignored(bucket: Counting, caplog: pytest.LogCaptureFixture) -> None:
    """The journal was lost, and another entry has the number."""
    seq = read(bucket).past.seq
    key = layout.entry("digits", seq)
    bucket.damage(key, bucket.read(key).replace(b'"actor": "ann"', b'"actor": "bob"'))

    assert seq > read(bucket).past.seq
    assert f"the checkpoint of entry {seq} is ignored: the journal has another entry now" in caplog.text
    require_right(bucket)


@pytest.mark.parametrize("lost", [True, False])
def test_a_damaged_page_is_made_anew_and_stored_by_the_next_writer(
    bucket: Counting, lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pages = json.loads(bucket.read(newest(bucket)))["pages"]
    key = layout.journal_page("digits", version_page(1), pages[version_page(1)])
    if lost:
        bucket.lose(key)
    else:
        bucket.damage(key, b'{"1":{}}')

    require_right(bucket)
    assert "all entries are read" in caplog.text
    journal = writer(bucket)
    journal.decide(lambda h: Change(Event.FROZEN, NO_VERSION, "again", h.state) if h.was_good(1) else None)
    journal.write_checkpoint()
    caplog.clear()
    require_right(bucket)
    assert "" == "".join(each.message for each in caplog.records if each.levelno >= logging.WARNING)


def test_all_checkpoints_may_be_deleted(bucket: Counting) -> None:
    for key in [each for each in bucket._objects if each.startswith(CHECKPOINTS)]:
        bucket.lose(key)

    assert 0 == read(bucket).past.seq
    require_right(bucket)
    freeze(bucket)
    assert 0 < read(bucket).past.seq


def test_a_checkpoint_beyond_the_end_is_not_used(bucket: Counting) -> None:
    seq = read(bucket).past.seq
    for key in bucket.keys(layout.journal("digits"))[seq - 2 :]:
        bucket.lose(key)

    assert seq - 2 == read(bucket).seq
    require_right(bucket)


def test_a_verb_succeeds_if_no_checkpoint_can_be_written(bucket: Counting, caplog: pytest.LogCaptureFixture) -> None:
    bucket.refuses = CHECKPOINTS
    before = read(bucket).seq
    for _ in range(EVERY):
        freeze(bucket)

    assert before + EVERY == read(bucket).seq
    assert "no checkpoint was written, so reading takes longer: StorageError" in caplog.text


def test_two_writers_store_the_same_checkpoint(bucket: Counting) -> None:
    first, second = writer(bucket), writer(bucket)
    for journal in (first, second):
        for _ in range(EVERY):
            journal.decide(lambda history: Change(Event.FROZEN, NO_VERSION, "holidays", history.state))
    second.write_checkpoint()
    stored = dict(bucket._objects)
    first.read()
    first.write_checkpoint()

    assert stored == bucket._objects
    require_right(bucket)


@pytest.mark.parametrize("rendered", [None, 0, 1, 10_000])
def test_the_config_only_says_where_to_look_first(bucket: Counting, rendered: int | None) -> None:
    """It may be missing, written by hand, far behind or ahead."""
    text = "# by hand" if rendered is None else render(model="digits", base_path="/b", state=State(), seq=rendered)
    bucket.create(layout.config("digits"), text.encode())

    require_right(bucket)


def test_an_earlier_moment_before_the_newest_checkpoint(bucket: Counting) -> None:
    history = read(bucket)
    entries = history.all()

    for seq in range(history.past.seq):
        assert entries[:seq] == history.until(seq).all()


def journal_of(count: int) -> Counting:
    """Claims, each with its entry, of one writer that never ends its verb."""
    bucket = Counting()
    journal = JournalWriter(bucket, "digits", run_key="retrain-1", actor="ann", clock=VirtualClock())
    for _ in range(count):
        journal.decide(lambda h: Change(Event.CLAIMED, h.state.next_version, "good", claim(h.state)))
    return bucket


def test_a_long_journal_without_checkpoints_is_read_with_few_entries_at_hand() -> None:
    history = Journal(journal_of(600), "digits").read()

    assert (600, True) == (history.seq, len(history.recent) <= 300)
    assert list(range(1, 601)) == history.unretired()


def test_a_first_read_costs_the_same_however_long_the_journal_is() -> None:
    costs = []
    for count in (44, 620):
        bucket = journal_of(count)
        journal = JournalWriter(bucket, "digits", run_key="retrain-2", actor="ann", clock=VirtualClock())
        last = journal.decide(lambda h: Change(Event.CLAIMED, h.state.next_version, "good", claim(h.state)))
        journal.write_checkpoint()
        text = render(model="digits", base_path="/b", state=State(), seq=last.seq)
        bucket.create(layout.config("digits"), text.encode())
        bucket.calls.clear()
        assert last.seq == Journal(bucket, "digits").read().seq
        costs.append(bucket.calls)

    assert costs[0] == costs[1]
