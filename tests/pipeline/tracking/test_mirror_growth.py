"""A mirror costs the same after few releases and after many, and repairs what was left half done.

The cost is the number of calls to MLflow and to the bucket.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.journal import state as transitions
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.journal.state import State
from pipeline.runs.records import TrainRecord
from pipeline.runs.run_records import RunRecords
from pipeline.storage.identity import find_identity
from pipeline.storage.memory import MemoryBucket
from pipeline.tracking.aliases import read_aliases
from pipeline.tracking.owner import find_owner, mlflow_observer
from pipeline.tracking.progress import progress_tag
from pipeline.tracking.registry import Mlflow
from pipeline.verdicts.verdict import Decision, Verdict
from tests.mlflow_registry import MlflowRegistry

MODEL = "digits"
KEPT = 4
FEW, MANY = 10, 60
PASS = Verdict(decision=Decision.PASS, reasons=("good",))


class CountedBucket(MemoryBucket):
    """Notes every object that is read and every folder that is listed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def read(self, key: str) -> bytes:
        self.calls.append(key)
        return super().read(key)

    def names(self, key: str, *, after: str = "") -> list[str]:
        self.calls.append(key)
        return super().names(key, after=after)


class Watched(httpx.BaseTransport):
    """The way to an MLflow; `on_call` sees the path of every call before it is made, and may raise."""

    def __init__(self) -> None:
        self.mlflow = MlflowRegistry()
        self.on_call: Callable[[str], object] = lambda _path: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.on_call(request.url.path.partition("/mlflow/")[2])
        return self.mlflow.transport.handle_request(request)


class Released:
    """A bucket after some releases, of which the newest `KEPT` have files and records, and an MLflow beside it."""

    def __init__(self, releases: int) -> None:
        self.bucket = CountedBucket()
        self.way = Watched()
        self.journal = JournalWriter(self.bucket, MODEL, run_key="retrain-0", actor="ann", clock=SystemClock())
        for _ in range(releases):
            self.release()

    @property
    def mlflow(self) -> MlflowRegistry:
        return self.way.mlflow

    def ask(self, method: str, path: str, **values: Any) -> Any:
        """What a person asks of MLflow."""
        url = f"http://mlflow/api/2.0/mlflow/{path}"
        with httpx.Client(transport=self.mlflow.transport) as client:
            if method == "GET":
                return client.get(url, params=values).raise_for_status().json()
            return client.request(method, url, content=json.dumps(values)).raise_for_status().json()

    @property
    def progress(self) -> str:
        """The tag of this bucket on the registered model; empty if there is none."""
        found = self.ask("GET", "registered-models/get", name=MODEL)["registered_model"]["tags"]
        tags: dict[str, str] = {tag["key"]: tag["value"] for tag in found}
        return tags.get(progress_tag(find_identity(self.bucket)), "")

    @property
    def is_complete(self) -> bool:
        return self.progress.startswith(f"{self.read().seq} ")

    def set_progress(self, value: str) -> None:
        self.ask(
            "POST", "registered-models/set-tag", name=MODEL, key=progress_tag(find_identity(self.bucket)), value=value
        )

    def registered(self) -> dict[int, dict[str, str]]:
        """The tags of every registered version, by the number it is served under."""
        found = self.ask("GET", "model-versions/search", filter=f"name='{MODEL}'").get("model_versions", [])
        tags = [{tag["key"]: tag["value"] for tag in each["tags"]} for each in found]
        return {int(each["served_version"]): each for each in tags}

    def status(self, version: int) -> str:
        return self.registered()[version]["status"]

    def write(self, event: Event, version: int, step: Callable[[State], State] = lambda state: state) -> None:
        verdict = PASS if event in (Event.CLAIMED, Event.PROMOTED) else None
        self.journal.decide(lambda h: Change(event, version, "good", step(h.state), verdict=verdict))

    def publish(self) -> int:
        """As the verbs of a run write it."""
        version = self.journal.known.state.next_version
        key = f"retrain-{version}"
        self.journal = JournalWriter(self.bucket, MODEL, run_key=key, actor="ann", clock=SystemClock())
        self.journal.read()
        self.write(Event.CLAIMED, version, transitions.claim)
        self.write(Event.PUBLISHED, version)
        self._record(key)
        return version

    def release(self) -> int:
        """Publish and promote one, and retire an old one as `retain` does."""
        version = self.publish()
        self.write(Event.EXPOSED, version, lambda state: transitions.expose(state, version))
        self.write(Event.PROMOTED, version, transitions.promote)
        self.write(Event.CONFIRMED, version)
        old = version - KEPT
        if old > 0:
            self.write(Event.RETIRED, old)
            self.bucket.remove(f"{layout.run(MODEL, f'retrain-{old}')}")
        self.journal.write_checkpoint()
        return version

    def _record(self, key: str) -> None:
        run = self.mlflow.trained(key)
        record = TrainRecord(
            model_key="m", files={}, model_digest="d", mlflow_run=run, mlflow_model=f"m-{run}", metrics={}
        )
        RunRecords(self.bucket, MODEL, key).finish(record)

    def read(self) -> History:
        return JournalWriter(self.bucket, MODEL, run_key="look-1", actor="ann", clock=SystemClock()).read()

    def follow(self, history: History, *, everything: bool = False) -> str | None:
        """What a verb of another process does at its end."""
        mlflow = mlflow_observer(Mlflow("http://mlflow", self.way), self.bucket, MODEL)
        return mlflow(history, None if everything else ())

    def mirror(self, *, everything: bool = False) -> tuple[int, int]:
        """Follow the newest history; the calls to MLflow and to the bucket."""
        history = self.read()
        return self.counted(lambda: self.follow(history, everything=everything))

    def look(self) -> tuple[int, int]:
        """Read the aliases, as `status` does; likewise."""
        history = self.read()
        owner = find_owner(self.bucket, MODEL, history)
        return self.counted(lambda: read_aliases(Mlflow("http://mlflow", self.way), model=MODEL, owner=owner) is None)

    def counted(self, fails: Callable[[], object]) -> tuple[int, int]:
        mlflow, bucket = len(self.mlflow.calls), len(self.bucket.calls)
        assert not fails()
        return len(self.mlflow.calls) - mlflow, len(self.bucket.calls) - bucket


def mirrored(releases: int) -> Released:
    """As it is after every release was mirrored."""
    made = Released(0)
    for _ in range(releases):
        made.release()
        made.mirror()
    return made


@pytest.fixture(scope="module")
def grown() -> tuple[Released, Released]:
    return mirrored(2 * FEW), mirrored(MANY)


def most_after_a_release(world: Released, *, everything: bool = False) -> tuple[int, int]:
    """The most of eight releases: how many entries are read one by one depends on how old the checkpoint is."""
    found = []
    for _ in range(8):
        world.release()
        found.append(world.mirror(everything=everything))
    return max(calls for calls, _ in found), max(calls for _, calls in found)


def test_a_mirror_after_a_release_costs_the_same_after_many_releases(grown: tuple[Released, Released]) -> None:
    few, many = map(most_after_a_release, grown)

    assert few == many


def test_a_mirror_with_nothing_new_costs_the_same_after_many_releases(grown: tuple[Released, Released]) -> None:
    few, many = map(Released.mirror, grown)

    assert few == many


def test_a_look_at_the_aliases_reads_the_versions_behind_them_only(grown: tuple[Released, Released]) -> None:
    few, many = map(Released.look, grown)

    assert few == many
    assert 3 == few[0]


def test_a_reconciliation_looks_at_no_retired_version_again(grown: tuple[Released, Released]) -> None:
    """It reads the list of versions, by the thousand; of the journal and the records it needs those with files."""
    few, many = (most_after_a_release(world, everything=True) for world in grown)

    assert few == many


def test_a_registered_model_without_the_tag_is_looked_through_once() -> None:
    """As after an upgrade."""
    world = mirrored(FEW)
    world.set_progress("")
    first, again = world.mirror(), world.mirror()

    assert world.is_complete
    assert again < first


def test_an_mlflow_that_was_replaced_by_an_empty_one_gets_what_still_has_records() -> None:
    world = mirrored(FEW)
    runs = world.mlflow.runs
    world.way.mlflow = MlflowRegistry()
    world.mlflow.runs = runs
    world.mirror()

    assert set(range(FEW - KEPT + 1, FEW + 1)) == set(world.registered())
    assert world.is_complete


def tried(world: Released) -> list[str]:
    """What the next mirror tries to register: the calls."""
    world.mlflow.calls.clear()
    world.follow(world.read())
    return [call for call in world.mlflow.calls if call.endswith("model-versions/create")]


def test_of_what_an_empty_mlflow_refuses_the_newest_are_offered_again() -> None:
    """It refuses all of them for ever, which must not make every later mirror long."""
    world = mirrored(FEW)
    for _ in range(30):
        world.publish()
    world.way.mlflow = MlflowRegistry()
    first, again, third = tried(world), tried(world), tried(world)

    assert KEPT + 30 == len(first)
    assert 20 + 2 == len(again), "the newest, and the two with a role, which are older"
    assert again == third
    assert world.is_complete


def test_a_version_that_was_refused_is_registered_once_its_run_is_back_also_if_it_has_no_role_any_more() -> None:
    world = mirrored(FEW)
    refused = world.release()
    run = f"run-retrain-{refused}"
    lost = world.mlflow.runs.pop(run)
    assert f"does not register v{refused}" in (world.follow(world.read()) or "")
    for _ in range(3):
        world.release()
        world.follow(world.read())
    assert world.is_complete
    assert refused not in world.registered()

    world.mlflow.runs[run] = lost
    world.mirror()
    assert "does not serve now" in world.status(refused)
    assert "refused" not in world.progress


def test_a_refused_version_is_not_forgotten_by_two_mirrors_at_once() -> None:
    """The one that ends last puts the tag back, and keeps what both were refused."""
    world = mirrored(FEW)
    older = world.read()
    refused = world.publish()
    lost = world.mlflow.runs.pop(f"run-retrain-{refused}")

    def while_another_does(_called: str) -> None:
        world.way.on_call = lambda _path: None
        world.follow(world.read())

    world.way.on_call = lambda called: while_another_does(called) if called == "model-versions/search" else None
    world.follow(older)
    assert world.progress.endswith(f"refused {refused}")

    world.mlflow.runs[f"run-retrain-{refused}"] = lost
    world.mirror()
    assert refused in world.registered()


def test_a_refused_version_that_is_retired_is_not_tried_again() -> None:
    world = mirrored(FEW)
    refused = world.release()
    del world.mlflow.runs[f"run-retrain-{refused}"]
    world.follow(world.read())
    for _ in range(KEPT):
        world.release()
    world.mirror()

    assert "refused" not in world.progress
    assert [] == tried(world)


def test_an_mlflow_that_was_restored_from_a_backup_is_brought_up_to_date() -> None:
    world = mirrored(FEW)
    backup = copy.deepcopy(world.mlflow)
    world.release()
    world.mirror()
    backup.runs |= world.mlflow.runs
    world.way.mlflow = backup
    assert FEW + 1 not in world.registered()
    world.mirror()

    assert "serves, since" in world.status(FEW + 1)
    assert "does not serve now" in world.status(FEW)
    assert "Its files were deleted" in world.status(FEW + 1 - KEPT)


@pytest.mark.parametrize("path", ["model-versions/update", "model-versions/set-tag", "registered-models/alias"])
def test_a_mirror_that_stopped_half_way_is_done_again(path: str) -> None:
    world = mirrored(FEW)
    world.release()
    before = world.progress

    def dies(called: str) -> None:
        if called == path:
            raise httpx.ConnectError("it is gone")

    world.way.on_call = dies
    assert "MLflow was not updated" in (world.follow(world.read()) or "")
    assert before == world.progress
    world.way.on_call = lambda _path: None
    world.mirror()

    assert "serves, since" in world.status(FEW + 1)
    assert "does not serve now" in world.status(FEW)
    assert "Its files were deleted" in world.status(FEW + 1 - KEPT)
    assert world.is_complete


def test_an_older_history_that_is_mirrored_last_only_costs_work() -> None:
    world = mirrored(FEW)
    older = world.read()
    world.release()
    world.mirror()
    world.follow(older)
    assert "serves, since" in world.status(FEW)
    assert not world.is_complete

    world.mirror()
    assert "does not serve now" in world.status(FEW)
    assert world.is_complete


@pytest.mark.parametrize(
    ("path", "nth"),
    [
        pytest.param("registered-models/get", 1, id="at its beginning"),
        pytest.param("model-versions/search", 1, id="before it describes a version"),
        pytest.param("registered-models/get", 2, id="before the aliases"),
        pytest.param("registered-models/get", 3, id="before its end"),
    ],
)
@pytest.mark.parametrize("older_ends_last", [True, False])
def test_two_mirrors_at_once_leave_nothing_that_the_next_one_does_not_repair(
    path: str, nth: int, older_ends_last: bool
) -> None:
    """One begins and ends while the other one is at work."""
    world = mirrored(FEW)
    world.publish()
    world.write(Event.EXPOSED, FEW + 1, lambda state: transitions.expose(state, FEW + 1))
    older = world.read()
    world.write(Event.RELEASED, FEW + 1, transitions.release)
    for _ in range(2):
        world.release()
    newer = world.read()
    first, second = (older, newer) if older_ends_last else (newer, older)
    calls: list[str] = []

    def while_another_does(called: str) -> None:
        calls.append(called)
        if calls.count(path) == nth:
            world.way.on_call = lambda _path: None
            world.follow(second)

    world.way.on_call = while_another_does
    world.follow(first)
    world.mirror()

    assert "serves, since" in world.status(FEW + 3)
    assert "does not serve now" in world.status(FEW)
    assert "is published, and has not served" in world.status(FEW + 1)


def test_what_served_and_what_was_tested_before_the_new_entries_is_described_anew() -> None:
    """No entry since then is about it."""
    world = mirrored(FEW)
    for _ in range(3):
        world.release()
    world.mirror()

    assert "does not serve now" in world.status(FEW)


def test_an_entry_that_the_journal_has_lost_is_not_taken_for_the_one_with_its_number_now() -> None:
    """A bucket that was restored without its end goes on with other entries."""
    world = mirrored(FEW)
    world.set_progress(f"{world.read().seq} 2001-01-01T00:00:00+00:00 0123abcd")
    world.ask("POST", "model-versions/set-tag", name=MODEL, version=str(FEW - 2), key="decision", value="lost")
    world.mirror()

    assert "promoted" == world.registered()[FEW - 2]["decision"]


def test_a_tag_that_nobody_of_us_wrote_is_no_progress() -> None:
    world = mirrored(FEW)
    world.set_progress("everything")
    world.mirror()

    assert world.is_complete


def test_a_version_that_a_person_deleted_is_registered_again_if_it_has_a_role_or_else_by_reconcile() -> None:
    world = mirrored(FEW)
    for number in (FEW - 2, FEW):
        world.ask("DELETE", "model-versions/delete", name=MODEL, version=str(number))
    world.mirror()
    assert FEW in world.registered()
    assert FEW - 2 not in world.registered()

    world.mirror(everything=True)
    assert FEW - 2 in world.registered()


def test_what_a_person_changed_about_a_version_without_a_role_is_repaired_by_reconcile() -> None:
    world = mirrored(FEW)
    world.ask("POST", "model-versions/set-tag", name=MODEL, version=str(FEW - 2), key="decision", value="mine")
    world.mirror()
    assert "mine" == world.registered()[FEW - 2]["decision"]

    world.mirror(everything=True)
    assert "promoted" == world.registered()[FEW - 2]["decision"]


def test_too_many_new_entries_are_not_read() -> None:
    """After months without MLflow all versions are looked through instead."""
    world = Released(1)
    world.mirror()
    for _ in range(60):
        world.release()
    _, bucket = world.mirror()

    assert "serves, since" in world.status(61)
    assert "Its files were deleted" in world.status(1)
    assert bucket < 60
