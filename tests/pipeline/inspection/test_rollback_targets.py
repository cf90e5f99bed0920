"""The list from which whoever is on call chooses a version."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from pipeline import layout
from pipeline.inspection.rollback_targets import table, targets
from pipeline.journal.entries import Change, Event
from pipeline.runs.records import EvaluateRecord
from pipeline.verdicts.measurements import Evaluation, Performance
from tests.pipeline.test_cli import pipeline
from tests.releases import MODEL, World


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
