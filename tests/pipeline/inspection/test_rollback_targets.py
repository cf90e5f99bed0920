"""The list from which whoever is on call chooses a version."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from bench.retention import LONG_AGO
from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.context import ModelContext, Ports, make_model_context
from pipeline.inspection.rollback_targets import table, targets
from pipeline.journal.entries import Change, Entry, Event
from pipeline.journal.state import State
from pipeline.runs.records import EvaluateRecord
from pipeline.settings import Settings
from pipeline.storage.bucket import Bucket
from pipeline.storage.memory import MemoryBucket
from pipeline.verdicts.measurements import Evaluation, Performance
from tests.counted_bucket import as_bucket, counted, long_journal
from tests.pipeline.test_cli import pipeline
from tests.releases import MODEL, NO_MLFLOW, World


def evaluated(world: World, run_key: str, accuracy: float) -> None:
    candidate = Performance(
        model_digest="m",
        data_digest="d",
        examples=100,
        accuracy=accuracy,
        class_recall={},
        calibration_error=0.0,
        finite=True,
        size_mb=1.0,
        latency_ms=1.0,
        right="",
    )
    record = EvaluateRecord(evaluation=Evaluation(candidate=candidate, serving_version=None, serving=None))
    world.context(run_key).records.finish(record)


@pytest.fixture
def three(world: World) -> World:
    """v1, v2, v3, and v2 again; v3 is withdrawn, and the records of v1 are gone."""
    for number in (1, 2, 3):
        world.release(f"retrain-{number}")
        evaluated(world, f"retrain-{number}", accuracy=0.9 + number / 100)
    (world.bucket / layout.record(MODEL, "retrain-1", "evaluate")).unlink()
    world.roll_back("2")
    return world


def test_every_version_that_served_with_date_accuracy_time_and_meaning(three: World) -> None:
    context = three.context("look-1")
    found = targets(context, context.journal.read())

    assert [2, 3, 1] == [each.version for each in found], "the one that served last is the first"
    assert [0.92, 0.93, None] == [each.accuracy for each in found]
    assert ["serving", "previous"] == [found[0].meaning, found[2].meaning]
    assert found[1].meaning.startswith("withdrawn on ")
    assert found[1].meaning.endswith(": it is bad")
    assert all(datetime.now(UTC) - each.first < timedelta(minutes=5) for each in found)
    age = (datetime.now(UTC) - found[2].first).total_seconds()
    assert age - 5 < sum(each.seconds_served for each in found) <= age, "one of them served at any time"


def test_a_version_whose_files_are_gone_says_so(three: World) -> None:
    context = three.context("look-1")
    state = context.journal.read().state
    history = context.journal.decide(lambda _: Change(Event.RETIRED, 3, "old", state, versions=(3,)))

    assert targets(context, history)[1].meaning.endswith("its files are deleted")


def test_a_reason_does_nothing_to_the_terminal(three: World) -> None:
    three.roll_back("1", reason="[red]bad[/red] \x1b[2J")
    context = three.context("look-1")
    console = Console(width=200, record=True, file=None)
    with console.capture() as capture:
        console.print(table(MODEL, targets(context, context.journal.read())))

    assert "[red]bad[/red]" in capture.get()
    assert "\x1b" not in capture.get()


def test_the_plan_lists_them_and_says_which_one_previous_is(three: World) -> None:
    environment = {
        "UNDERSTUDY_REPLICAS": ",".join(each.address for each in three.replicas),
        "UNDERSTUDY_ROOT": str(three.bucket),
    }
    done = pipeline(three.folder, "rollback", "--plan", "--to", "previous", **environment)

    assert 0 == done.returncode, done.stderr
    lines = done.stdout.splitlines()
    assert "Versions of digits that have served, newest first" in lines[0]
    assert any("v2" in each and "0.9200" in each and "serving" in each for each in lines)
    assert lines[-1].startswith("`previous` is v1: v2 will be replaced by v1; v1 is in memory. ")


def looking(bucket: Bucket) -> ModelContext:
    """A model whose replicas and MLflow do not answer."""
    settings = Settings(root="/nowhere", replicas="127.0.0.1:9", mlflow_url=NO_MLFLOW)
    return make_model_context(settings, model=MODEL, ports=Ports(bucket, SystemClock()))


def test_of_a_long_history_only_the_entries_about_these_versions_are_read() -> None:
    read = []
    for length in (100, 2000):
        bucket = counted(long_journal(length))
        context = looking(as_bucket(bucket))
        found = targets(context, context.journal.read())
        read.append((bucket.calls.total(), bucket.entries))

        assert list(range(length // 5, length // 5 - 20, -1)) == [each.version for each in found]
        assert [5.0] * 19 == [each.seconds_served for each in found[1:]]
        assert found[1].first + timedelta(seconds=5) == found[0].first
    (short, some), (long, many) = read

    assert long <= short + 5
    assert many <= some + 20


def test_versions_behind_many_roll_backs_are_shown_and_the_time_is_that_of_the_newest_periods() -> None:
    """v1 and v2 changed places 150 times after v3 had served."""
    bucket = MemoryBucket()
    seconds = [timedelta(seconds=10 * number) for number in range(304)]
    serving = [3, *([1, 2] * 151)]
    for seq, (version, later) in enumerate(zip(serving, seconds, strict=False), start=1):
        entry = Entry(
            seq=seq,
            at=LONG_AGO + later,
            event=Event.PROMOTED if seq <= 3 else Event.ROLLED_BACK,
            version=version,
            run_key=f"retrain-{seq}",
            actor="ann",
            reason="a test",
            state=State(serving=version, next_version=4),
        )
        bucket.create(layout.entry(MODEL, seq), entry.model_dump_json().encode())
    context = looking(bucket)
    found = targets(context, context.journal.read())

    assert [2, 1, 3] == [each.version for each in found]
    assert [True, True, False] == [each.has_served_longer for each in found]
    assert [80.0, 10.0] == [each.seconds_served for each in found[1:]]
    assert [LONG_AGO + each for each in (seconds[2], seconds[1], seconds[0])] == [each.first for each in found]
    console = Console(width=200, record=True, file=None)
    with console.capture() as capture:
        console.print(table(MODEL, found))
    assert "over 1 min 20 s" in capture.get()
