"""`history --verify` finds each kind of damage, in entries and in checkpoints, and says what to do."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.context import Ports, make_model_context
from pipeline.inspection.verified_journal import VerifiedJournal, verified
from pipeline.journal.checkpoints import Checkpoint
from pipeline.journal.entries import Change, Event
from pipeline.journal.journal import JournalWriter
from pipeline.journal.pages import digest_of
from pipeline.settings import Settings
from pipeline.storage.local import LocalBucket
from pipeline.storage.memory import MemoryBucket
from tests.counted_bucket import long_journal
from tests.pipeline.cli.in_process import Done, command
from tests.pipeline.journal.test_journal import Releases
from tests.releases import MODEL, NO_MLFLOW

EVERY = 4


class Damaged:
    """A journal of 25 entries with a checkpoint of each fourth one up to 20, to be damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, seq: int) -> Path:
        return self.folder / layout.entry(MODEL, seq)

    def checkpoint(self, seq: int) -> Path:
        (path,) = (self.folder / layout.journal_checkpoints(MODEL)).glob(f"{seq:08d}-*")
        return path

    def change(self, seq: int, **fields: Any) -> None:
        path = self.path(seq)
        content = json.loads(path.read_text())
        state = content["state"] | fields.pop("state", {})
        path.write_text(json.dumps(content | fields | {"state": state}, indent=1))

    def change_checkpoint(self, seq: int, change: Callable[[dict[str, Any]], None]) -> None:
        """...as somebody would who knows its checksum."""
        path = self.checkpoint(seq)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(Checkpoint.model_validate(content).signed().model_dump_json(indent=1))

    def verify(self) -> VerifiedJournal:
        return verified(context_of(LocalBucket(self.folder)))


def other_checkpoint(journal: Damaged, seq: int) -> None:
    """Add a checkpoint of another entry with this number."""
    content = json.loads(journal.checkpoint(20).read_text())
    other = Checkpoint.model_validate(content | {"seq": seq, "sha256": digest_of(b"other")}).signed()
    LocalBucket(journal.folder).create(
        layout.journal_checkpoint(MODEL, seq, other.sha256), other.model_dump_json().encode()
    )


class Shortened(JournalWriter):
    """A journal as it was when an earlier entry was the last one, and had just been written."""

    def __init__(self, bucket: LocalBucket, seq: int) -> None:
        super().__init__(bucket, MODEL, run_key="look-1", actor="ann", clock=SystemClock(), every=EVERY)
        self._known = self.until(seq)
        self._has_written = True


def context_of(bucket: Any) -> Any:
    return make_model_context(
        Settings(root="/nowhere", mlflow_url=NO_MLFLOW), model=MODEL, ports=Ports(bucket, SystemClock())
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five releases, and checkpoints as verbs would have written them that were called after each entry."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "serve").mkdir()
    releases = Releases(folder)
    for number in range(1, 6):
        releases.release(f"retrain-{number}")
    for seq in range(2 * EVERY, 25 + 1, EVERY):
        Shortened(LocalBucket(folder), seq).write_checkpoint()
    return folder


@pytest.fixture
def journal(whole: Path, tmp_path: Path) -> Damaged:
    shutil.copytree(whole, tmp_path / "bucket")
    return Damaged(tmp_path / "bucket")


def test_a_journal_without_damage_has_no_problems(journal: Damaged) -> None:
    found = journal.verify()

    assert ([], []) == (found.wrong, found.harmless)
    assert (25, 5) == (found.entries, found.checkpoints)
    assert sum(path.stat().st_size for path in (journal.folder / layout.journal(MODEL)).iterdir()) == found.size
    assert "25 entries" in found.text()
    assert (20, 25) == (found.compared_until, found.last)
    assert [
        "No problems found.",
        "A changed word in entries 21 to 25 would not be noticed: no checkpoint stands for them yet.",
    ] == found.text().partition("were checked. ")[2].split("\n")


def test_without_checkpoints_the_entries_are_checked(journal: Damaged) -> None:
    for path in (journal.folder / layout.journal_checkpoints(MODEL)).glob("*.json"):
        path.unlink()
    found = journal.verify()

    assert ([], [], 0, 25) == (found.wrong, found.harmless, found.checkpoints, found.entries)
    assert 0 == found.compared_until
    assert "A changed word in any entry would not be noticed: no checkpoint stands for them yet." in found.text()


def test_a_word_may_be_changed_unnoticed_only_after_the_newest_checkpoint(journal: Damaged) -> None:
    """One entry is named as one. Where a checkpoint stands for the last entry there is no such line."""
    journal.path(25).unlink()
    for seq in (24, 23, 22):
        journal.path(seq).unlink()
    one = journal.verify().text()
    journal.path(21).unlink()
    none = journal.verify().text()

    assert "A changed word in entry 21 would not be noticed: no checkpoint stands for it yet." in one
    assert "noticed" not in none


def test_one_is_not_several(journal: Damaged) -> None:
    for seq in (8, 12, 16, 20):
        journal.checkpoint(seq).unlink()
    one_checkpoint = journal.verify().text()
    for seq in range(2, 26):
        journal.path(seq).unlink()
    one_entry = journal.verify().text()

    assert "bytes) and 1 checkpoint were checked." in one_checkpoint
    assert "The journal of digits: 1 entry (" in one_entry
    assert "and 0 checkpoints were checked. 1 problem:" in one_entry


def test_a_long_journal_is_checked_in_several_batches() -> None:
    found = verified(context_of(long_journal(1000)))

    assert ([], [], 1000, 1) == (found.wrong, found.harmless, found.entries, found.checkpoints)


def lost(journal: Damaged) -> str:
    journal.path(7).unlink()
    return r"entry 7 is missing: journal/digits/00000007\.json\. Restore it from a backup"


def lost_row(journal: Damaged) -> str:
    for seq in (7, 8, 9):
        journal.path(seq).unlink()
    return r"entries 7 to 9 are missing: journal/digits/00000007\.json and so on\. Restore them"


def cut_off(journal: Damaged) -> str:
    journal.path(7).write_bytes(journal.path(7).read_bytes()[:40])
    return r"journal/digits/00000007\.json is not a journal entry: .*Restore it as it was written"


def exchanged(journal: Damaged) -> str:
    journal.path(7).write_bytes(journal.path(8).read_bytes())
    return r"00000007\.json holds entry 8; restore both"


def newer(journal: Damaged) -> str:
    journal.change(7, colour="red")
    return r"00000007\.json was written by a newer version of Understudy"


def dated_back(journal: Damaged) -> str:
    journal.change(24, at="2001-01-01T00:00:00Z")
    return (
        r"entry 24 is dated 2001-01-01T00:00:00\+00:00, before entry 23 of .*: one of them was changed\. Restore both"
    )


def numbered_back(journal: Damaged) -> str:
    journal.change(24, state={"next_version": 3})
    return r"entry 24 says that the next version is v3, and entry 23 said v6: a number would be given twice\."


def given_twice(journal: Damaged) -> str:
    journal.change(21, version=4)
    return r"entries 16 and 21 both give out v4\. Restore both"


def given_later_again(journal: Damaged) -> str:
    journal.change(21, version=7)
    return r"entry 21 gives out v7, and says that the next version is v6\."


def changed_reason(journal: Damaged) -> str:
    """No entry is wrong in itself: only the chain of digests tells."""
    journal.change(10, reason="something else")
    return r"an entry from 9 to 12 was changed after the checkpoint of entry 12 was written: .*Compare .* with a backup"


def changed_space(journal: Damaged) -> str:
    journal.path(10).write_bytes(journal.path(10).read_bytes() + b"\n")
    return r"an entry from 9 to 12 was changed"


def config_of_a_lost_entry(journal: Damaged) -> str:
    context = context_of(LocalBucket(journal.folder))
    (journal.folder / layout.config(MODEL)).write_text(
        next(iter(context.rollout.rendered(context.journal.read()).values()))
    )
    for seq in (24, 25):
        journal.path(seq).unlink()
    return r"serve/digits\.config was made from entry 25, and the journal ends with entry 23: entries are lost\."


def lost_end(journal: Damaged) -> str:
    for seq in range(19, 26):
        journal.path(seq).unlink()
    return r"the journal ends with entry 18, and there are checkpoints of later entries: \S+00000020-\S+\. Entries are"


def forged_facts(journal: Damaged) -> str:
    """A checkpoint that commands use."""
    journal.change_checkpoint(20, lambda content: content["facts"]["served"].clear())
    return r"00000020-\S+ does not say what the entries say, and commands use it\. Delete the folder checkpoints/digits"


def forged_pages(journal: Damaged) -> str:
    earlier = json.loads(journal.checkpoint(8).read_text())["pages"]
    journal.change_checkpoint(20, lambda content: content["pages"].update(earlier))
    return r"00000020-\S+ does not say what the entries say, and commands use it"


def changed_entry_of_the_newest_checkpoint(journal: Damaged) -> str:
    journal.change(20, reason="something else")
    return (
        r"entry 20 is not the one for which checkpoints/digits/00000020-\S+ was written: the entry was changed, or "
        r"entries were lost and written again\. Compare entry 20 with a backup, and restore it if it was changed\. If "
        r"the journal is right, delete checkpoints/digits/00000020-"
    )


def written_again(journal: Damaged) -> str:
    """The newest checkpoint is one of an entry that is lost."""
    other_checkpoint(journal, 24)
    return r"entry 24 is not the one for which checkpoints/digits/00000024-\S+ was written"


@pytest.mark.parametrize(
    "damage",
    [
        lost,
        lost_row,
        cut_off,
        exchanged,
        newer,
        dated_back,
        numbered_back,
        given_twice,
        given_later_again,
        changed_reason,
        changed_space,
        config_of_a_lost_entry,
        lost_end,
        forged_facts,
        forged_pages,
        changed_entry_of_the_newest_checkpoint,
        written_again,
    ],
)
def test_what_makes_decisions_wrong_is_found(journal: Damaged, damage: Callable[[Damaged], str]) -> None:
    expected = damage(journal)
    found = journal.verify()

    assert 1 == len([sentence for sentence in found.wrong if re.search(expected, sentence)]), found.text()


def test_a_changed_entry_is_reported_once_and_another_one_again(journal: Damaged) -> None:
    journal.change(10, reason="something else")
    (first,) = journal.verify().wrong
    journal.change(18, reason="something else")
    both = journal.verify().wrong

    assert "from 9 to 12" in first
    assert [first] == both[:1]
    assert ["from 17 to 20"] == [re.findall(r"from \d+ to \d+", each)[0] for each in both[1:]]


def cut_off_checkpoint(journal: Damaged) -> str:
    journal.checkpoint(12).write_bytes(journal.checkpoint(12).read_bytes()[:50])
    return r"00000012-\S+ is not a checkpoint that this version can read\. No command uses it\. Delete it"


def bit_of_checkpoint(journal: Damaged) -> str:
    path = journal.checkpoint(12)
    path.write_text(path.read_text().replace('"highest_promoted": 2', '"highest_promoted": 9'))
    return r"00000012-\S+ is damaged\. No command uses it\. Delete it"


def older_checkpoint_of_another_entry(journal: Damaged) -> str:
    other_checkpoint(journal, 18)
    return r"00000018-\S+ stands for another entry 18 than the journal has now\. No command uses it\."


def checkpoint_of_another_entry_beside_the_newest(journal: Damaged) -> str:
    other_checkpoint(journal, 20)
    return r"00000020-\S+ stands for another entry 20 than the journal has now\. No command uses it\."


def lost_page(journal: Damaged) -> str:
    page = next((journal.folder / layout.journal_pages(MODEL)).glob("moves-0-*"))
    page.unlink()
    return rf"has pages that are missing or damaged: \S+{page.name}\. Commands read the entries instead"


def damaged_page(journal: Damaged) -> str:
    page = next((journal.folder / layout.journal_pages(MODEL)).glob("versions-0-*"))
    page.write_bytes(page.read_bytes().replace(b"1", b"2", 1))
    return rf"has pages that are missing or damaged: \S+{page.name}\."


@pytest.mark.parametrize(
    "damage",
    [
        cut_off_checkpoint,
        bit_of_checkpoint,
        older_checkpoint_of_another_entry,
        checkpoint_of_another_entry_beside_the_newest,
        lost_page,
        damaged_page,
    ],
)
def test_damage_that_cannot_make_a_decision_wrong_is_another_problem(
    journal: Damaged, damage: Callable[[Damaged], str]
) -> None:
    expected = damage(journal)
    found = journal.verify()

    assert [] == found.wrong
    assert [True] == [bool(re.search(expected, sentence)) for sentence in found.harmless], found.text()


def test_after_a_lost_entry_checkpoints_are_not_compared(journal: Damaged) -> None:
    journal.path(11).unlink()
    found = journal.verify()

    assert 2 == found.checkpoints
    assert any("3 checkpoints were not compared, because entry 11 cannot be read" in each for each in found.harmless)

    for seq in (12, 16):
        journal.checkpoint(seq).unlink()

    assert ["1 checkpoint was not compared"] == [each.partition(",")[0] for each in journal.verify().harmless]


def test_what_is_written_meanwhile_is_no_damage() -> None:
    """A verb that writes entries and checkpoints between the listings."""

    class Busy(MemoryBucket):
        def names(self, key: str, *, after: str = "") -> list[str]:
            found = super().names(key, after=after)
            journal = JournalWriter(self, MODEL, run_key="freeze-2", actor="ann", clock=SystemClock(), every=1)
            if key in (layout.journal(MODEL), layout.journal_checkpoints(MODEL)) and not after:
                for _ in range(3):
                    journal.decide(lambda h: Change(Event.FROZEN, 0, "busy", h.state))
                journal.write_checkpoint()
            return found

    bucket, begun = Busy(), long_journal(40)
    for seq in range(1, 41):
        bucket.create(layout.entry(MODEL, seq), begun.read(layout.entry(MODEL, seq)))
    found = verified(context_of(bucket))

    assert ([], []) == (found.wrong, found.harmless)
    assert found.entries > 40


class TestCommand:
    @pytest.fixture
    def ask(self, journal: Damaged, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
        monkeypatch.setenv("UNDERSTUDY_ROOT", str(journal.folder))
        monkeypatch.setenv("UNDERSTUDY_MLFLOW_URL", NO_MLFLOW)
        return lambda *words: command(monkeypatch, "history", "--model", MODEL, "--verify", *words)

    def test_ends_with_0_where_all_is_well(self, ask: Callable[..., Done]) -> None:
        assert (0, True) == (ask().code, "25 entries" in ask().out)

    def test_ends_with_1_if_an_entry_is_wrong(self, journal: Damaged, ask: Callable[..., Done]) -> None:
        journal.path(7).unlink()
        person, program = ask(), ask("--json")
        found = json.loads(program.out)

        assert (1, 1) == (person.code, program.code)
        assert "! entry 7 is missing" in person.out
        assert "the journal of digits is damaged: 1 problem, named above." in person.err
        assert "Traceback" not in person.err
        assert ["entry 7 is missing"] == [each.partition(":")[0] for each in found["wrong"]]
        assert ("digits", 24, 25, 4) == tuple(found[key] for key in ("model", "entries", "last", "compared_until"))
        assert "4 checkpoints were not compared" in found["harmless"][0]

    def test_ends_with_3_if_no_decision_can_be_wrong(self, journal: Damaged, ask: Callable[..., Done]) -> None:
        journal.checkpoint(12).write_bytes(b"")
        done = ask()

        assert 3 == done.code
        assert "is not a checkpoint that this version can read. No command uses it. Delete it" in done.out

    def test_changes_nothing(self, journal: Damaged, ask: Callable[..., Done]) -> None:
        journal.checkpoint(12).write_bytes(b"")
        before = {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
        ask()

        assert before == {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
