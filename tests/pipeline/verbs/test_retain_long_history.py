"""What `retain` costs: calls of the bucket by the length of the history, and what becomes of checkpoints."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from bench.retention import LONG_AGO, history
from pipeline import layout
from pipeline.context import Ports, RunContext, make_run_context, observed
from pipeline.inspection.retained import Retained, table
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.rules import retention
from pipeline.rules.retention import RetentionDecision, RetentionLimits, StoredVersions
from pipeline.settings import Settings
from pipeline.spec import RetentionPolicy
from pipeline.storage.memory import MemoryBucket
from pipeline.tracking.registry import Mlflow
from pipeline.verbs.retain import retain
from serving.fleet.fleet import parse_fleet
from tests.pipeline.verbs.test_retain import Crash, Releases
from tests.protocol.clock import VirtualClock
from tests.releases import MODEL, NO_MLFLOW

POLICY = RetentionPolicy(keep=1, days=7, run_days=30)
NOBODY = "127.0.0.1:9"


class Counting(MemoryBucket):
    """It counts the calls, by what is asked and by the first folder of the key."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def _count(self, what: str, key: str, times: int = 1) -> None:
        self.calls[f"{what} {key.partition('/')[0]}"] += times

    def read(self, key: str) -> bytes:
        self._count("read", key)
        return super().read(key)

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return [self.read(key) for key in keys]

    def names(self, key: str, *, after: str = "") -> list[str]:
        self._count("names", key)
        return super().names(key, after=after)

    def remove(self, key: str, **still: object) -> bool:
        self._count("remove", key)
        return super().remove(key, **still)  # type: ignore[arg-type]

    def delete(self, key: str) -> None:
        self._count("delete", key)
        super().delete(key)


class Long:
    """So many releases a year ago, each with its files, and a checkpoint."""

    def __init__(self, versions: int) -> None:
        self.bucket = Counting()
        self.clock = VirtualClock()
        self.clock.sleep((LONG_AGO + timedelta(days=365) - self.clock.now()).total_seconds())
        for entry in history(versions):
            self.bucket.create(layout.entry(MODEL, entry.seq), entry.model_dump_json(indent=1).encode())
        for version in range(1, versions + 1):
            self.bucket.create(f"{layout.version(MODEL, version)}/saved_model.pb", b"")
            self.bucket.create(layout.record(MODEL, f"retrain-{version}", "gate"), b"{}")
        self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """As the next verb that writes an entry."""
        journal = JournalWriter(self.bucket, MODEL, run_key="freeze-1", actor="ann", clock=self.clock)
        state = journal.read().state
        journal.decide(lambda _: Change(Event.FROZEN, state.serving or 0, "a test", state))
        journal.write_checkpoint()

    def context(self, run_key: str) -> RunContext:
        ports = Ports(self.bucket, self.clock, parse_fleet(NOBODY, expected=None), Mlflow(NO_MLFLOW))
        return make_run_context(Settings(replicas=NOBODY, actor="ann"), model=MODEL, run_key=run_key, ports=ports)

    def retain(self, run_key: str, *, dry_run: bool = False, policy: RetentionPolicy = POLICY) -> Retained:
        context = self.context(run_key)
        self.bucket.calls.clear()
        with observed(context):
            return retain(context, policy, dry_run=dry_run)

    @property
    def calls(self) -> Counter[str]:
        return self.bucket.calls


@pytest.fixture(scope="module")
def counts() -> dict[int, list[Counter[str]]]:
    """The calls of three retentions by the number of versions: a plan, the deletion, and one more afterwards."""
    found = {}
    for versions in (30, 240):
        long = Long(versions)
        dry = long.retain("retain-1", dry_run=True)
        planned = Counter(long.calls)
        done = long.retain("retain-1")
        deleted = Counter(long.calls)
        for _ in range(32):  # the entry that retires them is in a checkpoint by then
            long.write_checkpoint()
        again = long.retain("retain-2")
        found[versions] = [planned, deleted, Counter(long.calls)]

        assert (dry.lines, dry.runs) == (done.lines, done.runs)
        assert [RetentionDecision.RETIRE] * (versions - 2) == [each.decision for each in done.lines[:-2]]
        assert [versions - 1, versions] == [each.version for each in again.lines]
        assert (0, 0) == (again.summary()["retired"], again.summary()["runs"])
    return found


def test_a_retention_after_many_costs_as_much_as_one_after_few(counts: dict[int, list[Counter[str]]]) -> None:
    """Versions that are retired and have no files cost nothing: checkpoints and new entries are left to read."""
    (_, _, few), (_, _, many) = counts[30], counts[240]

    assert few.total() + 10 >= many.total(), f"{few} and {many}"
    assert 0 == many["remove serve"] == many["remove runs"]


def test_no_entry_is_read_for_a_version_that_is_planned_for(counts: dict[int, list[Counter[str]]]) -> None:
    (few, _, _), (many, _, _) = counts[30], counts[240]

    assert few["read journal"] + 5 >= many["read journal"]
    # A page of facts has 64 versions, and there are 210 more here; their runs are on 256 pages.
    assert few["read checkpoints"] + 4 + 256 >= many["read checkpoints"]


def test_the_deletion_grows_with_what_is_deleted(counts: dict[int, list[Counter[str]]]) -> None:
    (_, few, _), (_, many, _) = counts[30], counts[240]

    assert (28, 238) == (few["remove serve"], many["remove serve"])
    assert (28, 238) == (few["remove runs"], many["remove runs"])
    assert few["read journal"] + 5 >= many["read journal"]
    assert [] == [what for what in many if many[what] > few[what] + 5 and what not in EACH], f"{few} and {many}"


# What is asked once for everything that is deleted, or once for each page of facts.
EACH = {"remove serve", "remove runs", "read checkpoints"}


def test_a_young_version_is_known_by_the_number_of_its_entry() -> None:
    """Its last entry is read for its date; the versions around the limit are judged as their dates say."""
    long = Long(40)
    at = long.context("look-1").journal.read().entry(5 * 30).at  # v30 is confirmed then
    days = (long.clock.now() - at).total_seconds() / 86400
    done = long.retain("retain-1", dry_run=True, policy=RetentionPolicy(keep=0, days=days))

    young = [line.version for line in done.lines if "less than" in " ".join(line.why)]
    assert list(range(31, 41)) == young
    assert [*range(31, 41)] == [line.version for line in done.lines if line.decision is RetentionDecision.KEEP]


@pytest.mark.parametrize("days", [0, 1e-9, 14, 1e9, 1e300])
def test_any_age_is_a_limit(days: float) -> None:
    """The longest reach back before the first year; then everything is young."""
    terms = RetentionLimits(RetentionPolicy(keep=0, days=days), LONG_AGO + timedelta(days=400), 3600)
    long = tuple(history(3))
    lines = retention.plan(History(long), StoredVersions(frozenset(), frozenset(), frozenset()), terms)

    assert ([1, 2, 3] if days > 400 else [2, 3]) == [
        line.version for line in lines if line.decision is RetentionDecision.KEEP
    ]


def test_an_entry_is_found_by_its_moment_without_reading_many(counts: dict[int, list[Counter[str]]]) -> None:
    """As a search from the first entry on would find it; a recent moment costs as much in a long history."""
    assert counts
    long = Long(60)
    known = long.context("look-1").journal.read()
    moments = [entry.at for entry in known.all()]
    for seconds in (-1.0, 0.0, 0.5, 100.0, 150.5, 298.0, 300.0, 1e9):
        moment = LONG_AGO + timedelta(seconds=seconds)
        fresh = long.context("look-1").journal.read()
        long.calls.clear()

        assert sum(at <= moment for at in moments) == fresh.seq_at(moment), seconds
        assert long.calls["read journal"] <= 16
    long.calls.clear()
    assert known.seq - 1 == long.context("look-1").journal.read().seq_at(moments[-2])


class Checkpointed(Releases):
    """As `Releases`; each verb that writes leaves a checkpoint of every second entry."""

    def context(self, run_key: str = "retain-1") -> RunContext:
        ports = Ports(
            self.memory, self.clock, parse_fleet(NOBODY, expected=None), Mlflow(NO_MLFLOW), checkpoint_every=2
        )
        return make_run_context(Settings(replicas=NOBODY, actor="ann"), model=MODEL, run_key=run_key, ports=ports)

    def journal(self, run_key: str = "retrain-0") -> JournalWriter:
        return JournalWriter(self.memory, MODEL, run_key=run_key, actor="ann", clock=self.clock, every=2)

    def release(self, run_key: str, digest: str | None = None) -> int:
        version = super().release(run_key, digest)
        for _ in range(3):
            journal = self.journal("freeze-1")
            journal.decide(lambda h: Change(Event.FROZEN, version, "a test", h.state))
            journal.write_checkpoint()
        return version

    def retain(self, policy: RetentionPolicy = POLICY, *, run_key: str = "retain-1", dry_run: bool = False) -> Retained:
        context = self.context(run_key)
        with observed(context):
            return retain(context, policy, dry_run=dry_run)

    def checkpoints(self) -> list[str]:
        return [name for name in self.below(layout.journal_checkpoints(MODEL)) if name != "pages"]


def made(folder: Path) -> Checkpointed:
    releases = Checkpointed(folder)
    releases.release_weekly(5)
    releases.days(31)
    return releases


def test_old_checkpoints_go_and_the_report_says_how_many(tmp_path: Path) -> None:
    releases = made(tmp_path)
    before = releases.checkpoints()
    told = releases.retain(dry_run=True)
    assert before == releases.checkpoints()
    done = releases.retain()

    assert before[-3:] == releases.checkpoints()[:3]
    assert len(before) - 3 == done.checkpoints == told.checkpoints == done.summary()["checkpoints"]
    line = f"old checkpoints of the journal that were deleted: {done.checkpoints}"
    assert line in [str(each) for each in table(MODEL, done).renderables]
    assert 0 == releases.retain(run_key="retain-2").checkpoints


def test_a_retention_that_died_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    """Also where checkpoints go and the entry that retires is in the next one: no reader gets to see a damaged one."""
    number = 0
    while True:
        number += 4
        releases = made(tmp_path)
        releases.crash_at(number)
        try:
            releases.retain()
            break
        except Crash:
            releases.meanwhile = None
        releases.require_files()
        releases.retain(run_key="retain-2")

        known = releases.history()
        assert ([(1, 2, 3)], [4, 5]) == (releases.retirements(), releases.served()), number
        assert [True, True, True, False, False] == [known.is_retired(version) for version in range(1, 6)]
        assert not known.past.is_repaired
        assert len(releases.checkpoints()) <= 4
    assert number > 30


def test_two_retentions_at_once_leave_checkpoints_with_all_their_pages(tmp_path: Path) -> None:
    for part in ("journal/", "serve/digits/", "checkpoints/digits/pages/", "checkpoints/digits/0"):
        releases = made(tmp_path)
        releases.before(part, lambda releases=releases: releases.retain(run_key="retain-2"))  # type: ignore[misc]
        releases.retain()

        known = releases.history()
        assert ([(1, 2, 3)], [4, 5]) == (releases.retirements(), releases.served()), part
        assert [4, 5] == known.unretired()
        assert [True, True, True, False, False] == [known.is_retired(version) for version in range(1, 6)]
        assert not known.past.is_repaired


def test_a_repeated_retention_says_why_each_version_goes(tmp_path: Path) -> None:
    """The run died after the entry that retires; only the history before it says why."""
    releases = made(tmp_path)
    releases.before("serve/digits/", lambda: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        releases.retain()
    done = releases.retain()

    assert [(1, 2, 3)] == releases.retirements()
    assert [RetentionDecision.RETIRE] * 3 == [each.decision for each in done.lines[:3]]
    assert ("not used for 7 days, and nothing needs it",) == done.lines[0].why
