"""What a newer version of Understudy has stored: every command says so in a sentence, and decides nothing on it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import layout
from pipeline.errors import NewerVersionError
from pipeline.journal.entries import Event
from pipeline.runs.records import NAMES, PublishRecord
from pipeline.runs.run_records import RunRecords
from pipeline.verbs.sync import sync
from tests.old_buckets import change, contents, old_bucket, understudy
from tests.releases import MODEL, World, eventually

NEWER = "was written by a newer version of Understudy"
WAY_OUT = "Use the newer version, for example that of the DAGs"
NEVER_SHOWN = ("pydantic", "validation error", "Extra inputs", "Input should be", "Traceback", "defect of Understudy")

Edit = Callable[[dict[str, Any]], object]


def add_field(content: dict[str, Any]) -> None:
    content["ring"] = 1


def rename_event(entry: dict[str, Any]) -> None:
    entry["event"] = "ringed"


def rename_outcome(record: dict[str, Any]) -> None:
    record["outcome"] = "postponed"


@pytest.fixture(params=["pinned-a8dee2c", "latest-a8dee2c"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return old_bucket(request.param, tmp_path)


@pytest.fixture
def see(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command shows. It ended with the code expected, has changed nothing, and said the sentence."""

    def shown(verb: str, *words: str, code: int = 1, key: str) -> str:
        before = contents(world)
        ended = understudy(world, monkeypatch, verb, *words)

        assert code == ended.code, ended.text
        assert f"{key} {NEWER}" in ended.text
        assert WAY_OUT in ended.text
        assert [] == [each for each in NEVER_SHOWN if each in ended.text]
        assert before == contents(world)
        return ended.text

    return shown


@pytest.mark.parametrize(("edit", "seq"), [(add_field, 3), (rename_event, None)], ids=["a field", "the last event"])
def test_an_entry(world: World, see: Callable[..., str], edit: Edit, seq: int | None) -> None:
    """`status` shows what the replicas say, and everything else only the sentence."""
    key = layout.entry(MODEL, seq or world.history().seq)
    change(world, key, edit)
    text = see("status", code=3, key=key)

    assert "Only the replicas say what is served" in text
    assert "Repair the bucket" not in text
    see("history", key=key)
    see("rollback", "--plan", key=key)
    see("announce", key=key)
    see("retain", "--dry-run", key=key)


def test_no_verb_decides_anything_on_such_an_entry(world: World, see: Callable[..., str]) -> None:
    key = layout.entry(MODEL, world.history().seq)
    change(world, key, rename_event)
    why = ("--reason", "why")

    assert "With the newer version, run the same command with --run" in see("rollback", *why, key=key)
    see("pin", "--to", "2", *why, key=key)
    see("freeze", "--until", "3d", *why, key=key)
    see("unfreeze", *why, key=key)
    see("readmit", "--version", "4", *why, key=key)
    see("reconcile", key=key)
    see("retain", key=key)
    see("publish", "--run", "retrain-7", key=key)
    see("withdraw", "--run", "retrain-7", key=key)


def newer_manifest(world: World, role: str) -> int:
    """A manifest with a field that this version does not know, and the entry that has recorded it."""
    history = world.history()
    version = getattr(history.state, role)
    assert isinstance(version, int)
    key = layout.manifest(MODEL, history.original(version))
    change(world, key, add_field)
    digest = hashlib.sha256((world.bucket / key).read_bytes()).hexdigest()
    published = history.of_version(history.original(version), Event.PUBLISHED)
    assert published is not None
    change(world, layout.entry(MODEL, published.seq), lambda entry: entry.update(manifest=digest))
    return version


def test_the_manifest_of_the_serving_version(world: World, see: Callable[..., str]) -> None:
    """It is not called damaged: nothing is known of it."""
    version = newer_manifest(world, "serving")
    text = see("status", code=3, key=layout.manifest(MODEL, version))

    assert f"v{version} serves since" in text
    assert "damaged" not in text


def test_a_roll_back_skips_a_version_whose_manifest_it_cannot_read_and_says_why(
    world: World, see: Callable[..., str]
) -> None:
    version = newer_manifest(world, "previous")
    key = layout.manifest(MODEL, version)
    text = see("rollback", "--plan", code=0, key=key)

    assert f"v{version} is skipped, because it cannot be checked: {key} {NEWER}" in text
    assert "damaged" not in text
    refused = see("rollback", "--plan", "--to", str(version), key=key)
    assert f"no version to roll back to can be used: v{version}: {key}" in refused
    assert "still serves. Use the newer version, or use --to previous" in refused


@pytest.mark.parametrize("edit", [add_field, rename_outcome])
def test_the_records_that_a_plan_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit) -> None:
    """They say how good a version was and how long it loads. The plan is shown without that."""
    world = old_bucket("pinned-a8dee2c", tmp_path)
    keys = [layout.record(MODEL, "retrain-2", name) for name in ("evaluate", "canary")]
    for key in keys:
        change(world, key, edit)
    ended = understudy(world, monkeypatch, "rollback", "--plan", "--to", "2")

    assert 0 == ended.code, ended.text
    assert "v7 will be replaced by v2" in ended.text
    assert [f"{key} {NEWER}" in ended.text for key in keys] == [True, True]


@pytest.mark.parametrize("edit", [add_field, rename_outcome])
def test_every_record(tmp_path: Path, edit: Edit) -> None:
    world = old_bucket("latest-a8dee2c", tmp_path)  # only this roll-out has records of all kinds
    stored = sorted(contents(world))
    for kind, name in NAMES.items():
        key = next(key for key in stored if key.startswith(layout.runs(MODEL)) and key.endswith(f"/{name}.json"))
        change(world, key, edit)
        records = RunRecords(world.context("look-1").bucket, MODEL, Path(key).parent.name)
        with pytest.raises(NewerVersionError, match=f"{key} {NEWER}"):
            records.find(kind)


@pytest.mark.parametrize("verb", ["gate", "publish", "canary", "promote"])
def test_a_verb_of_a_run(see: Callable[..., str], world: World, verb: str) -> None:
    """It neither works by the settings of a newer version nor takes its answer for its own."""
    spec, own = (layout.record(MODEL, "retrain-7", name) for name in ("spec", verb))
    answer = (world.bucket / own).read_bytes()
    change(world, spec, add_field)
    (world.bucket / own).unlink()
    see(verb, "--run", "retrain-7", key=spec)
    (world.bucket / own).write_bytes(answer)
    change(world, own, add_field)
    see(verb, "--run", "retrain-7", key=own)


def test_a_verdict_that_did_not_end_a_run(world: World) -> None:
    """It is the reason for what follows, so an older verdict does not take its place."""
    (path,) = (world.bucket / layout.attempts(MODEL, "retrain-4")).iterdir()
    change(world, str(path.relative_to(world.bucket)), lambda verdict: verdict.update(decision="perhaps"))

    with pytest.raises(NewerVersionError, match="its 'decision' is 'perhaps'"):
        RunRecords(world.context("look-1").bucket, MODEL, "retrain-4").last_attempt()


def test_the_identity_of_the_bucket(world: World, see: Callable[..., str]) -> None:
    """It is needed for MLflow alone."""
    change(world, layout.IDENTITY, lambda identity: identity.update(layout=2))

    text = see("status", code=3, key=str(world.bucket / layout.IDENTITY))
    assert "the MLflow aliases of this bucket cannot be checked" in text
    assert f"v{world.history().state.serving} serves since" in text


def test_a_config(world: World, see: Callable[..., str], tmp_path: Path) -> None:
    """The roll-out of a newer version is not taken for one of this version, and its config is not replaced."""
    text = world.config.read_text()
    first, _, rest = text.partition("\n")
    world.config.write_text(f"{first.partition(',')[0]}, roll-out rings\n{rest}")
    key = layout.config(MODEL)
    why = ("--reason", "why")

    assert "its first line says 'roll-out rings', which" in see("status", code=3, key=key)
    see("rollback", "--plan", key=key)
    see("rollback", *why, key=key)
    see("freeze", "--until", "3d", *why, key=key)
    see("reconcile", key=key)
    see("retain", key=key)
    with pytest.raises(NewerVersionError, match="roll-out rings"):
        sync(world.context("look-1").bucket, MODEL, tmp_path / "servers")


def test_a_retention_keeps_a_run_whose_age_only_a_newer_version_knows(world: World, see: Callable[..., str]) -> None:
    stale = RunRecords(world.context("look-1").bucket, MODEL, "retrain-90")
    stale.finish(PublishRecord(version=90))
    key = layout.record(MODEL, "retrain-90", "publish")
    change(world, key, add_field)

    assert "retrain-90" in see("retain", "--dry-run", code=0, key=key)


def test_a_roll_back_leaves_a_version_whose_manifest_only_a_newer_version_can_read(world: World) -> None:
    """The target is known and intact. What serves needs no check to be left, and its files stay as they are."""
    serving = newer_manifest(world, "serving")
    previous = world.history().state.previous
    world.start(1)
    try:
        assert eventually(lambda: world.answering() == [serving])
        done = world.roll_back("previous", run_key="rollback-9000")
        assert (previous, [previous]) == (done.version, world.answering())
    finally:
        world.stop()
