"""The verb `retain`: what it deletes, beside whom, and what it finds after a crash."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.context import Ports, RunContext, make_run_context
from pipeline.errors import BadInputError, FailedError, StorageError
from pipeline.inspection.retained import Retained
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rules import run as run_rules
from pipeline.rules.retention import RetentionDecision
from pipeline.rules.rollback import next_step
from pipeline.runs.records import GateRecord
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings
from pipeline.spec import RetentionPolicy
from pipeline.storage.memory import MemoryBucket
from pipeline.tracking.registry import Mlflow
from pipeline.verbs.retain import retain
from serving.fleet.fleet import parse_fleet
from tests.half_way import begin_roll_back, coming
from tests.pipeline.journal.test_journal import PASS
from tests.pipeline.rules.test_retention import Dated
from tests.pipeline.test_cli import pipeline
from tests.released import start_released
from tests.releases import MODEL, NO_MLFLOW, World

POLICY = RetentionPolicy(keep=1, days=7, run_days=30)
NOBODY = "127.0.0.1:9"
MONTHS = 24 * 99


class Crash(BaseException):
    """The process is gone. Nothing of ours may catch it."""


class Releases(Dated):
    """Releases with their files, in a bucket where somebody else may act right before an effect."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, bucket=MemoryBucket(self.effect))
        # Takes itself away before it acts.
        self.meanwhile: Callable[[str], None] | None = None

    def effect(self, key: str, write: Callable[[], bool]) -> bool:
        if self.meanwhile is not None:
            self.meanwhile(key)
        return write()

    def before(self, part: str, act: Callable[[], object]) -> None:
        """Let somebody act once, before the first effect on a key with this part in it."""

        def once(key: str) -> None:
            if part in key:
                self.meanwhile = None
                act()

        self.meanwhile = once

    def crash_at(self, number: int) -> None:
        """End whoever comes to the effect with this number, and all of its threads."""
        seen, lock = 0, threading.Lock()

        def count(_: str) -> None:
            nonlocal seen
            with lock:
                seen += 1
                if seen >= number:
                    raise Crash

        self.meanwhile = count

    def context(self, run_key: str = "retain-1") -> RunContext:
        fleet = parse_fleet(NOBODY, expected=None)
        settings = Settings(replicas=NOBODY, actor="ann")
        ports = Ports(self.memory, self.clock, fleet, Mlflow(NO_MLFLOW))
        return make_run_context(settings, model=MODEL, run_key=run_key, ports=ports)

    def publish(self, run_key: str, digest: str | None = None) -> int:
        version = super().publish(run_key, digest)
        self.memory.create(layout.manifest(MODEL, version), b"{}")
        self.write_files(version)
        self.record(run_key)
        return version

    def release(self, run_key: str, digest: str | None = None) -> int:
        version = super().release(run_key, digest)
        self.context().rollout.settle()
        return version

    def write_files(self, version: int) -> None:
        for name in ("variables/variables.index", "saved_model.pb"):
            self.memory.create(f"{layout.version(MODEL, version)}/{name}", f"of v{version}".encode())

    def record(self, run_key: str) -> None:
        gate = GateRecord(verdict=PASS, serving_version=None, at=self.clock.now())
        RunRecords(self.memory, MODEL, run_key).finish(gate)

    def lose_last_entry(self) -> None:
        folder = layout.journal(MODEL)
        keys = [f"{folder}/{name}" for name in self.below(folder)]
        contents = self.memory.read_all(keys)
        self.memory.remove(folder)
        for key, content in zip(keys[:-1], contents[:-1], strict=True):
            self.memory.create(key, content)

    def retain(self, policy: RetentionPolicy = POLICY, *, run_key: str = "retain-1", dry_run: bool = False) -> Retained:
        return retain(self.context(run_key), policy, dry_run=dry_run)

    def below(self, folder: str) -> list[str]:
        return self.memory.names(folder)

    def served(self) -> list[int]:
        return sorted(int(name) for name in self.below(layout.versions(MODEL)))

    def retirements(self) -> list[tuple[int, ...]]:
        return [entry.versions for entry in self.history().all() if entry.event is Event.RETIRED]

    def require_files(self) -> None:
        """Whatever has a role is there, complete, and so is all that was never retired."""
        state = self.history().state
        for version in range(1, state.next_version):
            if self.history().retirement(version) is None:
                assert {"variables/variables.index", "saved_model.pb"} == set(
                    self.memory.sums(layout.version(MODEL, version))
                ), version
        roles = {state.serving, state.previous, state.candidate, state.leaving} - {None}
        assert roles <= set(self.served())


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1 to v5 have served, a week each; v5 serves."""
    made = Releases(tmp_path)
    made.release_weekly(5)
    return made


def test_what_nothing_needs_goes_and_its_manifest_stays(releases: Releases) -> None:
    done = releases.retain()

    assert [(1, 2, 3)] == releases.retirements()
    assert [4, 5] == releases.served()
    assert ["1.json", "2.json", "3.json", "4.json", "5.json"] == releases.below("manifests/digits")
    assert [RetentionDecision.RETIRE] * 3 + [RetentionDecision.KEEP] * 2 == [each.decision for each in done.lines]
    assert {"kept": 2, "retired": 3, "retired_before": 0} == {
        name: done.summary()[name] for name in ("kept", "retired", "retired_before")
    }


def test_a_second_one_finds_nothing_to_do(releases: Releases) -> None:
    releases.retain()
    before = releases.history().seq
    again = releases.retain(run_key="retain-2")

    assert before == releases.history().seq
    assert [4, 5] == [each.version for each in again.lines]


def test_what_lies_where_no_server_looks_goes_too(releases: Releases) -> None:
    """The latest roll-out keeps every version there, and only what servers should take up below the base path."""
    for version in (1, 3, 5):
        releases.memory.create(f"{layout.published(MODEL, version)}/saved_model.pb", b"")
    releases.retain()

    assert ["5"] == releases.below("published/digits")


def test_the_config_follows_before_anything_is_deleted(releases: Releases) -> None:
    """Whoever is slow, and still wants to write an older config, cannot any more."""
    seen = []
    releases.before("serve/digits/", lambda: seen.append(releases.memory.read(layout.config(MODEL))))
    releases.retain()

    assert f"# journal entry {releases.history().seq}\n" in seen[0].decode()
    assert releases.retirements()


def test_what_the_config_names_stays(releases: Releases) -> None:
    """Servers may have read it, whoever wrote it."""
    key = layout.config(MODEL)
    now = releases.memory.read(key)
    releases.memory.replace(key, now.replace(b"versions: 4", b"versions: 2"), instead_of=now)
    done = releases.retain()

    assert [2, 4, 5] == releases.served()
    assert ("named by the config",) == done.lines[1].why


def test_old_runs_go_unless_their_version_stays(releases: Releases) -> None:
    releases.record("retrain-declined")
    releases.days(31)
    releases.record("retrain-new")
    releases.memory.create("runs/digits/retrain-empty/model-1/saved_model.pb", b"")
    releases.memory.create("runs/digits/retrain-damaged/gate.json", b"{")
    releases.memory.create("runs/digits/notes.txt", b"")
    done = releases.retain()

    assert ("retrain-1", "retrain-2", "retrain-3", "retrain-declined") == done.runs
    assert ("retrain-damaged", "retrain-empty") == done.undated
    assert ("runs/digits/notes.txt",) == done.unknown
    assert ["notes.txt", "retrain-4", "retrain-5", "retrain-damaged", "retrain-empty", "retrain-new"] == releases.below(
        layout.runs(MODEL)
    )


def test_records_of_a_version_that_goes_stay_until_they_are_old_as_well(releases: Releases) -> None:
    releases.retain(RetentionPolicy(keep=0, days=0, run_days=30))

    assert [4, 5] == releases.served()
    assert 4 == len(releases.below(layout.runs(MODEL)))


def test_names_that_the_journal_does_not_know_are_told_and_left_alone(releases: Releases) -> None:
    for name in ("007", "77", "3.tmp", "notes"):
        releases.memory.create(f"serve/digits/{name}/saved_model.pb", b"")
    releases.memory.create("published/digits/78/saved_model.pb", b"")
    done = releases.retain()

    assert (
        "serve/digits/007",
        "serve/digits/3.tmp",
        "serve/digits/77",
        "serve/digits/notes",
        "published/digits/78",
    ) == (done.unknown)
    assert ["007", "3.tmp", "4", "5", "77", "notes"] == releases.below("serve/digits")


def test_a_journal_that_has_lost_its_end_lets_nothing_go(releases: Releases) -> None:
    releases.lose_last_entry()
    with pytest.raises(StorageError, match="entries are lost"):
        releases.retain()

    assert [1, 2, 3, 4, 5] == releases.served()
    assert [] == releases.retirements()


def test_nothing_was_ever_released(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    empty = Releases(tmp_path)
    empty.memory.create("serve/digits/1/saved_model.pb", b"")
    empty.memory.create("runs/digits/retrain-1/gate.json", b"{}")
    done = empty.retain()

    assert () == done.lines
    assert "nothing was released yet for 'digits'" in caplog.text
    assert [["1"], ["retrain-1"]] == [empty.below("serve/digits"), empty.below("runs/digits")]


def test_a_roll_back_that_was_decided_first_keeps_its_target(releases: Releases) -> None:
    """F47: it gets in between the plan and the entry, and the plan is made anew."""

    def roll_back() -> None:
        request = releases.request("rollback-1", "1")
        releases.journal("rollback-1").decide(lambda h: next_step(h, request=request, target=1, loaded=False))

    releases.before("journal/", roll_back)
    releases.retain()

    assert [(2, 3)] == releases.retirements()
    assert State(serving=5, previous=4, candidate=1, next_version=6) == releases.history().state
    releases.require_files()


def test_a_roll_back_that_comes_second_is_refused(releases: Releases) -> None:
    """It had chosen its target, and the entry that lets it go was written first."""
    request = releases.request("rollback-1", "1")
    releases.before("journal/", releases.retain)
    with pytest.raises(BadInputError, match=r"v1 was retired on .*\. Other versions that have served: v4$"):
        releases.journal("rollback-1").decide(lambda h: next_step(h, request=request, target=1, loaded=False))

    assert State(serving=5, previous=4, next_version=6) == releases.history().state
    releases.require_files()


@pytest.mark.parametrize("days", [0, 8])
def test_a_version_published_meanwhile_stays(releases: Releases, days: float) -> None:
    releases.before("journal/", lambda: releases.publish("retrain-6"))
    releases.retain(RetentionPolicy(keep=0, days=days, run_days=30))

    assert 6 in releases.served()
    releases.require_files()


def test_a_promotion_meanwhile_moves_what_is_kept(releases: Releases) -> None:
    """v4 is not the version before any more, and is young enough to stay all the same."""
    releases.before("journal/", lambda: releases.release("retrain-6"))
    releases.retain(RetentionPolicy(keep=0, days=8, run_days=30))

    assert [(1, 2, 3)] == releases.retirements()
    assert [4, 5, 6] == releases.served()


def test_a_run_that_wakes_up_after_its_claim_was_retired_is_refused_and_what_it_wrote_goes(releases: Releases) -> None:
    journal = releases.journal("retrain-6")
    journal.decide(lambda h: run_rules.claim(h, run_key="retrain-6", compared_with=5, reason="good", verdict=PASS))
    releases.days(8)
    releases.retain()
    releases.write_files(6)
    with pytest.raises(FailedError, match="v6 was retired"):
        journal.decide(lambda h: run_rules.announce_published(h, version=6, manifest="m"))
    releases.retain(run_key="retain-2")

    assert [4, 5] == releases.served()


def number_of_effects(folder: Path) -> int:
    counted = Releases(folder)
    counted.release_weekly(5)
    seen: list[str] = []
    counted.meanwhile = seen.append
    counted.days(31)
    counted.retain()
    return len(seen)


def test_two_at_once_have_the_effect_of_one(tmp_path: Path) -> None:
    """The second does all of its work before any one effect of the first."""
    for number in range(1, number_of_effects(tmp_path) + 1):
        releases = Releases(tmp_path)
        releases.release_weekly(5)
        releases.days(31)
        left, lock = number, threading.Lock()

        def other(_: str, releases: Releases = releases, lock: threading.Lock = lock) -> None:
            nonlocal left
            with lock:
                left -= 1
                if left:
                    return
            releases.meanwhile = None
            releases.retain(run_key="retain-2")

        releases.meanwhile = other
        releases.retain()

        assert ([(1, 2, 3)], [4, 5]) == (releases.retirements(), releases.served()), number
        assert ["retrain-4", "retrain-5"] == releases.below(layout.runs(MODEL))
        releases.require_files()


def test_one_that_died_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in range(1, number_of_effects(tmp_path) + 1):
        releases = Releases(tmp_path)
        releases.release_weekly(5)
        releases.days(31)
        releases.crash_at(number)
        with pytest.raises(Crash):
            releases.retain()
        releases.meanwhile = None
        releases.require_files()
        releases.retain(run_key="retain-2")

        assert ([(1, 2, 3)], [4, 5]) == (releases.retirements(), releases.served()), number
        assert ["retrain-4", "retrain-5"] == releases.below(layout.runs(MODEL))


# On a disk, with replicas.


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def in_months(world: World, run_key: str = "retain-1") -> RunContext:
    return coming(world, run_key, hours=MONTHS)


def test_a_dry_run_changes_nothing_and_says_what_the_real_one_does(world: World) -> None:
    start_released(world, 3)
    world.release("retrain-4")
    leftover = world.bucket / ".tmp" / "left"
    leftover.write_bytes(b"half an object")
    before = everything(world.bucket)
    told = retain(in_months(world), POLICY, dry_run=True)

    assert before == everything(world.bucket)
    done = retain(in_months(world), POLICY, dry_run=False)
    assert (told.lines, told.runs, len(told.leftovers)) == (done.lines, done.runs, len(done.leftovers))
    assert [1, 2] == [each.version for each in done.lines if each.decision is RetentionDecision.RETIRE]
    assert ("retrain-1", "retrain-2") == done.runs


def test_what_serves_goes_on_serving_and_the_way_back_is_open(world: World) -> None:
    start_released(world, 3)
    world.release("retrain-4")
    retain(in_months(world), POLICY, dry_run=False)
    with pytest.raises(BadInputError, match=r"v1 was retired .* versions that have served: v3$"):
        world.roll_back("1")

    assert [4, 4] == world.answering()
    assert 3 == world.roll_back("previous").version
    assert [3, 3] == world.answering()
    assert 5 == world.release("retrain-5")
    assert ["3", "4", "5"] == sorted(path.name for path in (world.bucket / "serve" / MODEL).iterdir())


def test_the_latest_roll_out_keeps_what_it_goes_back_to(tmp_path: Path) -> None:
    world = World(tmp_path, rollout="latest")
    world.start()
    try:
        world.release_three()
        world.release("retrain-4")
        retain(in_months(world), POLICY, dry_run=False)

        assert [4, 4] == world.answering()
        published = world.bucket / layout.all_published(MODEL)
        assert ["3", "4"] == sorted(path.name for path in published.iterdir())
        assert 3 == world.roll_back("previous").version
        assert [3, 3] == world.answering()
    finally:
        world.stop()


def test_a_roll_back_under_way_is_finished_after_a_retention(world: World) -> None:
    start_released(world, 3)
    begin_roll_back(world, 1, loaded=False)
    world.context("rollback-5").rollout.settle()
    retain(in_months(world), RetentionPolicy(keep=0, days=0, run_days=1), dry_run=False)

    assert 1 == world.roll_back("1", run_key="rollback-5").version
    assert [1, 1] == world.answering()


def test_many_at_once_beside_a_release(world: World) -> None:
    """Whoever comes after the promotion of v5 lets v3 go as well, for v4 is the way back by then."""
    start_released(world, 3)
    world.release("retrain-4")
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            retain(world.context(f"retain-{number}"), RetentionPolicy(keep=1, days=0), dry_run=False)
        except BaseException as error:  # noqa: BLE001 - the test tells
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    version = world.release("retrain-5")
    for thread in threads:
        thread.join()

    assert [] == problems
    assert 5 == version
    assert [5, 5] == world.answering()
    context, history = world.context("look-1"), world.history()
    assert [4, 5] == [context.manifests.verify(version, history).version for version in (4, 5)]
    retired = sorted(number for entry in history.all() if entry.event is Event.RETIRED for number in entry.versions)
    assert retired in ([1, 2], [1, 2, 3])


def test_leftovers_of_dead_processes_go_by_their_age(world: World) -> None:
    start_released(world, 1)
    leftover = world.bucket / ".tmp" / "left"
    leftover.write_bytes(b"half an object")
    kept = retain(world.context("retain-1"), POLICY, dry_run=False)
    gone = retain(in_months(world, "retain-2"), POLICY, dry_run=False)

    assert () == kept.leftovers
    assert [".tmp/left"] == [told.partition(",")[0] for told in gone.leftovers]
    assert not leftover.exists()


# The command line.


def age(folder: Path, days: float) -> None:
    """Make a journal old: nothing else says when something was."""
    for path in (folder / "bucket" / layout.journal(MODEL)).iterdir():
        entry = json.loads(path.read_text())
        entry["at"] = datetime.fromtimestamp(time.time() - days * 86400, UTC).isoformat()
        path.write_text(json.dumps(entry))


def released(folder: Path) -> History:
    """Three versions by the rules, as they are after a month; their files are not there."""
    made = Dated(folder / "aside")
    made.release_weekly(3)
    journal = folder / "bucket" / layout.journal(MODEL)
    journal.mkdir(parents=True)
    for name in made.memory.names(layout.journal(MODEL)):
        (journal / name).write_bytes(made.memory.read(f"{layout.journal(MODEL)}/{name}"))
    for version in (1, 2, 3):
        target = folder / "bucket" / layout.version(MODEL, version)
        target.mkdir(parents=True)
        (target / "saved_model.pb").write_bytes(b"")
    age(folder, 31)
    return made.history()


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "bucket" / layout.versions(MODEL)).iterdir())


def test_the_table_and_the_line(tmp_path: Path) -> None:
    released(tmp_path)
    dry = pipeline(tmp_path, "retain", "--dry-run", "--keep", "0")
    done = pipeline(tmp_path, "retain", "--keep", "0", "--run", "retain-5")

    assert (0, 0) == (dry.returncode, done.returncode), dry.stderr + done.stderr
    assert "Retention of digits, what would be done: keep 0, 14 days" in dry.stdout
    assert [["v1", "good", "retire"], ["v2", "good", "keep"], ["v3", "good", "keep"]] == [
        [cell.strip() for cell in row.split("│")][:3]
        for row in done.stdout.splitlines()
        if row.startswith(" v") and "version" not in row
    ]
    last = json.loads(done.stdout.splitlines()[-1])
    assert ("retain", "done", "retain-5", 1, 2) == tuple(
        last[name] for name in ("verb", "outcome", "run", "retired", "kept")
    )
    assert ["2", "3"] == folders(tmp_path)


def test_the_form_of_the_dag_may_ask_for_a_dry_run(tmp_path: Path) -> None:
    released(tmp_path)
    done = pipeline(tmp_path, "retain", "--keep", "0", UNDERSTUDY_PARAMS='{"dry_run": true}')

    assert json.loads(done.stdout.splitlines()[-1])["dry_run"] is True
    assert ["1", "2", "3"] == folders(tmp_path)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("the retention: keep: Input should be greater than or equal to 0 (got -1)", ["--keep", "-1"]),
        ("the retention: days: Input should be greater than or equal to 0 (got -0.5)", ["--days", "-0.5"]),
        ("the retention: days: Input should be a finite number", ["--days", "nan"]),
        ("the model 'cats' does not exist", ["--model", "cats"]),
        ("'rollback-5' is not the key of a retention (retain-...). Leave --run out", ["--run", "rollback-5"]),
    ],
)
def test_bad_input_is_told_and_changes_nothing(tmp_path: Path, told: str, words: list[str]) -> None:
    released(tmp_path)
    before = everything(tmp_path / "bucket")
    done = pipeline(tmp_path, "retain", *words)

    assert 1 == done.returncode
    assert told in done.stderr
    assert before == everything(tmp_path / "bucket")


def test_an_empty_bucket_is_told(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "retain")

    assert 0 == done.returncode
    assert "nothing was released yet for 'digits'" in done.stderr
