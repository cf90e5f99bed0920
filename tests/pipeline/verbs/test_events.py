"""What `snapshot` makes of a run that an event has started: images that were decided on are not trained on again."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import DeclinedError
from pipeline.rules import holds
from pipeline.runs.records import PublishRecord, Record, SnapshotRecord, SpecRecord
from pipeline.verdicts.verdict import Decision
from tests.pipeline.verbs.repeated_runs import DECLINED, OVERTAKEN, PASSED, PROMOTED, draw_images, withdrawn, world_of
from tests.pipeline.verbs.test_label_contract import draw
from tests.releases import MODEL, World


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


@pytest.fixture
def world(tmp_path: Path, images: Path) -> World:
    return world_of(tmp_path, images)


def snapshot(world: World, key: str, *records: Record, event: bool = True) -> SnapshotRecord:
    """A run that has got as far as these records; `event`: what has started it."""
    world.extra |= {"scheduled": event, "started_by_event": event}
    made = world.run("snapshot", key)
    assert isinstance(made, SnapshotRecord)
    for record in records:
        world.context(key).records.finish(record)
    return made


@pytest.mark.parametrize(
    ("records", "decision"),
    [((DECLINED,), "the gate declined the candidate"), ((PASSED, PROMOTED), "v4 was promoted")],
)
def test_an_event_without_new_images_ends_skipped(world: World, records: tuple[Record, ...], decision: str) -> None:
    snapshot(world, "retrain-1", *records)

    with pytest.raises(
        DeclinedError, match=rf"those of run retrain-1 \(data digest \w{{12}}\), after which {decision}"
    ):
        snapshot(world, "retrain-2")
    assert world.context("retrain-2").records.find(SnapshotRecord) is None


def test_an_event_does_not_repeat_a_run_whose_candidate_the_canary_refused(world: World) -> None:
    snapshot(world, "retrain-1", PASSED, PublishRecord(version=1))
    assert 1 == withdrawn(world, "retrain-1", Decision.FAIL)

    with pytest.raises(DeclinedError, match=r"after which v1 was withdrawn on .* UTC \(.*golden answers differ\)"):
        snapshot(world, "retrain-2")
    assert snapshot(world, "retrain-3", event=False)


def test_an_event_repeats_a_run_whose_canary_could_not_tell(world: World) -> None:
    snapshot(world, "retrain-1", PASSED, PublishRecord(version=1))
    withdrawn(world, "retrain-1", Decision.UNKNOWN)

    assert snapshot(world, "retrain-2")


def test_an_event_with_a_new_image_is_trained_on(world: World, images: Path) -> None:
    before = snapshot(world, "retrain-1", PASSED, PROMOTED)
    draw(images, "owl", first=120)

    assert before.digest != snapshot(world, "retrain-2").digest


@pytest.mark.parametrize(
    "records",
    [(), (PASSED,), (PASSED, OVERTAKEN)],
    ids=["it failed before the gate", "it failed after the gate", "it was overtaken"],
)
def test_images_that_no_run_has_decided_on_are_trained_on(world: World, records: tuple[Record, ...]) -> None:
    before = snapshot(world, "retrain-1", *records)

    assert before.digest == snapshot(world, "retrain-2").digest


def test_a_failed_run_does_not_hide_the_decided_one_before_it(world: World) -> None:
    snapshot(world, "retrain-1", DECLINED)
    snapshot(world, "retrain-2", event=False)

    with pytest.raises(DeclinedError, match="those of run retrain-1"):
        snapshot(world, "retrain-3")


def test_images_of_an_event_during_a_hold_are_trained_on_by_the_next_run_after_it(world: World) -> None:
    """...which nothing starts by itself but the schedule: the message is used up."""
    context = world.context("freeze-1")
    until = context.clock.now() + timedelta(hours=1)
    context.journal.decide(partial(holds.freeze, until=until, reason="a fair", now=context.clock.now()))
    with pytest.raises(DeclinedError, match="promotions are frozen"):
        snapshot(world, "retrain-1")
    context.journal.decide(partial(holds.unfreeze, reason="it is over"))

    assert snapshot(world, "retrain-2").count()


def test_a_run_of_a_person_trains_again(world: World) -> None:
    before = snapshot(world, "retrain-1", DECLINED)

    assert before.digest == snapshot(world, "retrain-2", event=False).digest


def test_an_event_says_nothing_about_code_or_parameters_so_a_change_of_them_does_not_count(world: World) -> None:
    """A thousand messages would be a thousand trainings where the version of the code is not known."""
    snapshot(world, "retrain-1", DECLINED)
    world.extra["code_version"] = "unknown"

    with pytest.raises(DeclinedError, match="an event has started this run"):
        snapshot(world, "retrain-2")


def test_a_record_that_cannot_be_read_starts_a_training_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot(world, "retrain-1", DECLINED)
    (world.bucket / layout.record(MODEL, "retrain-1", "gate")).write_text("{")

    assert snapshot(world, "retrain-2")
    assert "whether run retrain-1 was decided cannot be read" in caplog.text


def test_what_starts_a_run_is_in_no_record_of_it(world: World) -> None:
    """So an older version of the code can still read the settings of the run."""
    snapshot(world, "retrain-1")
    stored = (world.bucket / layout.record(MODEL, "retrain-1", "spec")).read_text()

    assert "new_images" not in stored
    frozen = world.context("retrain-1").records.require(SpecRecord).spec
    assert frozen.model.new_images is None
