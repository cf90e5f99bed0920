"""Buckets of earlier versions: every verb works on them as it did, and changes nothing that is stored."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import DamagedError
from pipeline.journal.entries import Event
from pipeline.runs.records import NAMES
from pipeline.runs.run_records import RunRecords
from pipeline.spec import RetentionPolicy
from pipeline.storage.identity import find_identity
from pipeline.verbs.announce import announce
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.retain import retain
from pipeline.verbs.status import status
from tests.fixtures.write_buckets import PUBLIC_KEY
from tests.hunts import hunt_cases
from tests.old_buckets import OLD_BUCKETS, contents, old_bucket, understudy
from tests.releases import MODEL, World, eventually


@pytest.fixture(params=OLD_BUCKETS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return old_bucket(request.param, tmp_path)


@pytest.fixture(params=hunt_cases(OLD_BUCKETS, in_make_test=[OLD_BUCKETS[0], OLD_BUCKETS[-1]]))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An old bucket with a replica that serves from it."""
    world = old_bucket(request.param, tmp_path)
    world.start(1)
    serving = world.history().state.serving
    assert eventually(lambda: world.answering() == [serving])
    yield world
    world.stop()


def test_the_fixtures_have_every_event_and_every_record(tmp_path: Path) -> None:
    worlds = [old_bucket(name, tmp_path / name) for name in OLD_BUCKETS]

    newer = {Event.EXPOSED_EVERYWHERE}  # came with the first ring
    assert set(Event) - newer == {entry.event for world in worlds for entry in world.history().all()}
    keys = {Path(key).stem for world in worlds for key in contents(world) if key.startswith("runs/")}
    assert set(NAMES.values()) <= keys


def test_every_record_and_manifest_is_read(stored: World) -> None:
    context, history = stored.context("look-1"), stored.history()
    for key in context.bucket.names(layout.runs(MODEL)):
        records = RunRecords(context.bucket, MODEL, key)
        found = {name for kind, name in NAMES.items() if records.find(kind) is not None}
        assert {path.stem for path in (stored.bucket / layout.run(MODEL, key)).glob("*.json")} == found
        attempts = list((stored.bucket / layout.attempts(MODEL, key)).glob("*"))
        assert (records.last_attempt() is not None) == bool(attempts)
    for entry in history.all():
        if entry.event is Event.PUBLISHED:
            assert entry.version == context.manifests.read(entry.version, history).version


def test_signed_manifests_are_verified_and_unsigned_ones_are_not_trusted(tmp_path: Path) -> None:
    world = old_bucket("pinned-a8dee2c", tmp_path)
    world.extra = {"verifying_key": world.bucket / PUBLIC_KEY}
    manifests, history = world.context("look-1").manifests, world.history()

    assert 3 == manifests.read(3, history).version
    with pytest.raises(DamagedError, match="sign"):
        manifests.read(1, history)
    assert find_identity(world.context("look-1").bucket).id


def test_history_shows_every_entry(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before, entries = contents(stored), stored.history().all()
    text = understudy(stored, monkeypatch, "history", "--all")
    for_programs = understudy(stored, monkeypatch, "history", "--all", "--json")

    assert (0, 0) == (text.code, for_programs.code), text.text
    assert all(entry.description in text.text for entry in entries)
    assert [entry.seq for entry in reversed(entries)] == [
        each["seq"] for each in json.loads(for_programs.text)["entries"]
    ]
    assert before == contents(stored)


def test_the_plan_of_a_roll_back_names_the_previous_version(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before, state = contents(stored), stored.history().state
    plan = understudy(stored, monkeypatch, "rollback", "--plan")

    assert 0 == plan.code, plan.text
    assert f"`previous` is v{state.previous}: v{state.serving} will be replaced by v{state.previous}" in plan.text
    assert before == contents(stored)


def test_retain_and_announce_only_look(stored: World) -> None:
    before, context = contents(stored), stored.context("retain-9")
    plan = retain(context, RetentionPolicy(keep=0, days=0), dry_run=True)
    (change,) = announce(context, announced=[], grace=timedelta(0))

    kept = {line.version for line in plan.lines if str(line.decision) == "keep"}
    assert stored.history().state.serving in kept
    assert stored.history().state.serving == change["version"]
    assert before == contents(stored)


def test_status_and_reconcile_find_nothing_to_do(served: World) -> None:
    """Beside the MLflow of this test, which knows no run of the fixture."""
    before = contents(served)
    assert eventually(lambda: len(status(served.context("look-1")).differences) == 1)  # it has loaded `previous`
    found = status(served.context("look-1"))
    repairs = reconcile(served.context("reconcile-9"))

    assert ["MLflow"] == [difference.split()[0] for difference in found.differences]
    assert served.history().seq == found.entry == found.config_entry
    assert [] == repairs.repaired
    assert _without_identity(before) == _without_identity(contents(served))


def test_release_and_roll_back_go_on_from_it(served: World) -> None:
    before, serving = contents(served), served.history().state.serving
    released = served.release("retrain-20")
    back = served.roll_back("previous", run_key="rollback-9000")

    history = served.history()
    assert serving is not None
    assert serving == history.original(back.version)
    assert [back.version] == served.answering()
    assert (Event.CLAIMED, released) in served.events(before_seq(before))
    written = {key: content for key, content in before.items() if not key.startswith("serve/")}
    assert written == {key: content for key, content in contents(served).items() if key in written}


def before_seq(before: dict[str, bytes]) -> int:
    """The last entry of a bucket as it was."""
    return len([key for key in before if key.startswith(layout.journal(MODEL))])


def _without_identity(stored: dict[str, bytes]) -> dict[str, bytes]:
    """Buckets from before there were identities get one as soon as MLflow is to follow them."""
    return {key: content for key, content in stored.items() if key != layout.IDENTITY}
