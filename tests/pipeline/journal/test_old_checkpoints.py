"""Old checkpoints of a journal: which are deleted, and that nobody who reads the journal needs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import StorageError
from pipeline.journal import old_checkpoints as module
from pipeline.journal.checkpoints import Checkpoint
from pipeline.journal.entries import Change, Event
from pipeline.journal.journal import Journal, JournalWriter
from pipeline.journal.old_checkpoints import KEPT, OldCheckpoints, delete_checkpoints, old_checkpoints
from pipeline.journal.state import State
from pipeline.storage.memory import MemoryBucket
from tests.pipeline.rules.test_retention import Dated

MODEL = "digits"
EVERY = 4


class Died(BaseException):
    """The process ends here."""


class Checkpointed(Dated):
    """Releases with a checkpoint every few entries, in a bucket whose effects a test may refuse."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, bucket=MemoryBucket(self.effect))
        self.refuse: Callable[[str], None] = lambda _: None

    def effect(self, key: str, write: Callable[[], bool]) -> bool:
        self.refuse(key)
        return write()

    def journal(self, run_key: str = "retrain-0") -> JournalWriter:
        return JournalWriter(self.memory, MODEL, run_key=run_key, actor="ann", clock=self.clock, every=EVERY)

    def release(self, run_key: str, digest: str | None = None) -> int:
        version = super().release(run_key, digest)
        journal = self.journal("pin-1")
        pinned = journal.read().state.model_copy(update={"pinned": version})
        for _ in range(EVERY + 1):  # so that pages of moves are the same in checkpoints that follow each other
            journal.decide(lambda h: pin(h.state.pinned, version, pinned))
            journal.write_checkpoint()
        return version

    def checkpoints(self) -> list[str]:
        return [name for name in self.memory.names(layout.journal_checkpoints(MODEL)) if name != "pages"]

    def pages(self) -> set[str]:
        return set(self.memory.names(layout.journal_pages(MODEL)))

    def named(self) -> set[str]:
        """The pages that the checkpoints name which there are."""
        contents = [json.loads(self.memory.read(f"checkpoints/{MODEL}/{name}")) for name in self.checkpoints()]
        return {f"{name}-{digest[:32]}.json" for each in contents for name, digest in each["pages"].items()}

    def old(self, *, days: float = 1) -> OldCheckpoints:
        before = self.history().seq_at(self.terms().before(days * 24 * 3600))
        return old_checkpoints(self.memory, MODEL, before=before)


def pin(pinned: int | None, version: int, state: State) -> Change:
    return Change(Event.PINNED, version, f"instead of {pinned}", state)


@pytest.fixture
def releases(tmp_path: Path) -> Checkpointed:
    made = Checkpointed(tmp_path)
    made.release_weekly(12)
    return made


def test_the_newest_stay_with_every_page_that_they_name(
    releases: Checkpointed, caplog: pytest.LogCaptureFixture
) -> None:
    before, all_before = releases.checkpoints(), releases.history().all()
    done = delete_checkpoints(releases.memory, releases.old())

    assert before[-KEPT:] == releases.checkpoints()
    assert len(before) - KEPT == done.count > 0
    assert releases.named() == releases.pages()
    history = Journal(releases.memory, MODEL, every=EVERY).read()
    assert history.past.is_stored
    assert [1] * 12 == [len(history.numbers(version)) for version in range(1, 13)]
    assert all_before == history.all()
    assert "" == caplog.text


def test_a_second_time_finds_nothing(releases: Checkpointed) -> None:
    delete_checkpoints(releases.memory, releases.old())

    assert OldCheckpoints([], []) == OldCheckpoints(list(releases.old().checkpoints), list(releases.old().pages))


def test_those_that_a_reader_of_the_last_day_may_use_stay(releases: Checkpointed) -> None:
    """The entries of three later checkpoints are older than a reader that may still be at work."""
    names = releases.checkpoints()
    done = releases.old(days=36)
    moment = releases.terms().before(36 * 24 * 3600)
    seqs = [int(name[:8]) for name in names]

    expected = [
        name for name, third in zip(names, seqs[3:], strict=False) if releases.history().entry(third).at <= moment
    ]
    assert [f"checkpoints/{MODEL}/{name}" for name in expected] == done.checkpoints
    assert 0 < done.count < len(names) - KEPT


def test_a_page_of_a_writer_that_is_not_ready_stays(releases: Checkpointed) -> None:
    """It stores the checkpoint that names it next."""
    key = layout.journal_page(MODEL, "versions-0", "0" * 64)
    releases.memory.create(key, b"{}")
    delete_checkpoints(releases.memory, releases.old())

    assert b"{}" == releases.memory.read(key)


def test_many_go_in_parts_and_those_left_have_all_their_pages(
    releases: Checkpointed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    turns = 0
    while delete_checkpoints(releases.memory, releases.old()).count:
        turns += 1

        assert releases.named() == releases.pages()
    assert turns > 2
    assert KEPT == len(releases.checkpoints())


def test_a_damaged_checkpoint_is_deleted_and_a_wrong_one_names_no_other_file(releases: Checkpointed) -> None:
    """A page with a path in its name would lead out of the folder."""
    first, second = (f"checkpoints/{MODEL}/{name}" for name in releases.checkpoints()[:2])
    content = releases.memory.read(second)
    wrong = Checkpoint.model_validate_json(content).model_copy(update={"pages": {"../../../etc": "0" * 64}})
    assert releases.memory.replace(first, b"{", instead_of=releases.memory.read(first))
    assert releases.memory.replace(second, wrong.signed().model_dump_json().encode(), instead_of=content)
    done = releases.old()
    delete_checkpoints(releases.memory, done)

    assert [] == [key for key in done.pages if ".." in key]
    assert KEPT == len(releases.checkpoints())
    assert releases.named() <= releases.pages()


def test_one_that_died_after_any_effect_is_finished_by_the_next(releases: Checkpointed) -> None:
    died = 0
    expected: tuple[list[str], set[str]] | None = None
    while expected is None:
        effects = 0

        def die(_: str) -> None:
            nonlocal effects
            effects += 1
            if effects > 1:
                raise Died

        releases.refuse = die
        try:
            delete_checkpoints(releases.memory, releases.old())
            expected = releases.checkpoints(), releases.pages()
        except Died:
            died += 1
        assert releases.history().past.is_stored
        assert not releases.history().past.is_repaired

    assert died > 3
    assert (KEPT, releases.named()) == (len(expected[0]), expected[1])


def test_two_at_once_have_the_effect_of_one(releases: Checkpointed) -> None:
    first, second = releases.old(), releases.old()
    delete_checkpoints(releases.memory, first)
    delete_checkpoints(releases.memory, second)

    assert KEPT == len(releases.checkpoints())
    assert releases.named() == releases.pages()


def test_a_bucket_that_refuses_is_told_and_is_no_error(
    releases: Checkpointed, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(key: str) -> None:
        raise StorageError(f"cannot delete {key}: no permission")

    releases.refuse = refuse
    done = delete_checkpoints(releases.memory, releases.old())

    assert 0 == done.count
    assert "some old checkpoints of the journal are left: cannot delete checkpoints/digits/" in caplog.text
    releases.refuse = lambda _: None
    assert delete_checkpoints(releases.memory, releases.old()).count > 0
