"""`status` reads no more of a long history than of a short one, and shows the rest if an old entry is lost."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.context import ModelContext, Ports, make_model_context
from pipeline.inspection.status import Status, table
from pipeline.journal.entries import Change, Event
from pipeline.journal.journal import JournalWriter
from pipeline.moments import moment
from pipeline.settings import Settings
from pipeline.storage.bucket import Bucket
from pipeline.storage.local import LocalBucket
from pipeline.verbs.status import status
from tests.counted_bucket import as_bucket, counted, long_journal
from tests.pipeline.journal.test_journal import Releases
from tests.releases import MODEL, NO_MLFLOW


def looking(bucket: Bucket) -> ModelContext:
    """A model whose replicas and MLflow do not answer."""
    settings = Settings(root="/nowhere", replicas="127.0.0.1:9", mlflow_url=NO_MLFLOW, rpc_seconds=0.2)
    return make_model_context(settings, model=MODEL, ports=Ports(bucket, SystemClock()))


def shown(found: Status) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table(found))
    return text.getvalue()


def test_status_makes_as_many_calls_for_2000_entries_as_for_40() -> None:
    calls, entries = [], []
    for length in (40, 2000):
        bucket = counted(long_journal(length))
        found = status(looking(as_bucket(bucket)))
        found.as_json()
        calls.append(bucket.calls.total())
        entries.append(bucket.entries)

        assert found.serving
        assert length // 5 == found.serving.version
    assert abs(calls[1] - calls[0]) <= 3, calls
    assert max(entries) < 60, entries


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    """v2 serves since long, and promotions are frozen since long: both are entries before the checkpoint."""
    folder = tmp_path / "bucket"
    releases = Releases(folder)
    for number in (1, 2):
        releases.release(f"retrain-{number}")
    journal = JournalWriter(releases.bucket, MODEL, run_key="freeze-1", actor="ann", clock=SystemClock(), every=8)
    until = moment("30d", now=SystemClock().now())
    state = journal.read().state.model_copy(update={"frozen_until": until})
    journal.decide(lambda _: Change(Event.FROZEN, 0, "Christmas", state))
    for _ in range(40):
        journal.decide(lambda found: Change(Event.PINNED, 1, "to have more entries", found.state))
    journal.write_checkpoint()
    return folder


def promotion(folder: Path) -> Path:
    return folder / layout.entry(MODEL, 9)


def freeze(folder: Path) -> Path:
    return folder / layout.entry(MODEL, 11)


def publication(folder: Path) -> Path:
    return folder / layout.entry(MODEL, 7)


@pytest.mark.parametrize("entry", [promotion, freeze, publication])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{")], ids=["lost", "damaged"])
def test_a_lost_old_entry_is_a_difference_and_everything_else_is_shown(
    frozen: Path, entry: Callable[[Path], Path], damage: Callable[[Path], object]
) -> None:
    before = status(looking(LocalBucket(frozen)))
    damage(entry(frozen))
    found = status(looking(LocalBucket(frozen)))
    new = [each for each in found.differences if each not in before.differences]
    text = shown(found)

    assert before.serving
    assert ["freeze"] == [hold.kind for hold in before.holds]
    assert (before.state, before.entry) == (found.state, found.entry)
    # The files of v2 cannot be compared without the entry that published it.
    kept = {each for each in before.differences if entry is not publication or not each.startswith("v2 serves")}
    assert kept <= set(found.differences)
    assert "serving v2, previous v1" in text
    assert 1 == len(new), new
    assert layout.entry(MODEL, int(entry(frozen).stem)) in new[0]
    assert "Restore it" in new[0]
    assert (entry is not promotion) == (found.serving is not None)
    assert (entry is not freeze) == bool(found.holds)
    assert json.dumps(found.as_json())
