"""`snapshot` judges the images: which limits stop a run, who may overrule them, and what the report holds."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInputError, FailedError
from pipeline.runs.records import SnapshotRecord
from pipeline.verdicts.measurements import DataSummary
from tests.pipeline.data.pictures import png
from tests.pipeline.verbs.repeated_runs import draw_images, world_of
from tests.releases import MODEL, World


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """80 images, 4 x 4 pixels each."""
    return draw_images(tmp_path / "images")


@pytest.fixture
def world(tmp_path: Path, images: Path) -> World:
    """A model whose images all are smaller than it allows."""
    made = world_of(tmp_path, images)
    limit(made, tiny=0.5)
    return made


def limit(world: World, **checks: Any) -> None:
    path = world.folder / f"{MODEL}.yaml"
    content = json.loads(path.read_text())
    content["data"]["checks"] |= checks
    path.write_text(json.dumps(content))


def snapshot(world: World, key: str = "retrain-1", **form: Any) -> SnapshotRecord:
    world.extra["params"] = json.dumps(form)
    made = world.run("snapshot", key)
    assert isinstance(made, SnapshotRecord)
    return made


def figures(record: SnapshotRecord) -> DataSummary:
    assert record.found is not None
    return record.found


def reports(world: World, key: str = "retrain-1") -> list[Path]:
    return list((world.bucket / "runs" / MODEL / key).glob("data-report-*"))


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def test_images_beyond_a_limit_are_refused_with_the_limit_and_the_report(world: World) -> None:
    with pytest.raises(FailedError) as refused:
        snapshot(world)
    (report,) = reports(world)

    assert "the images are refused: " in str(refused.value)
    assert "80 of 80 (100%) > 50% (data.checks.tiny)" in str(refused.value)
    assert str(report) in str(refused.value)
    assert 80 == sum(kind == "tiny" for kind, *_ in rows(report / "remarks.csv"))
    assert None is world.context("retrain-1").records.find(SnapshotRecord)


def test_a_refused_data_set_is_not_what_the_next_one_is_compared_with(world: World, images: Path) -> None:
    with pytest.raises(FailedError):
        snapshot(world)
    for path in (images / "cat").glob("?.png"):
        path.unlink()
    limit(world, tiny=None, class_change=0.01)

    assert {"cat": 30, "dog": 40} == figures(snapshot(world, "retrain-2")).totals()


def test_the_limits_that_the_first_try_has_frozen_hold_for_a_cleared_task(world: World) -> None:
    with pytest.raises(FailedError):
        snapshot(world)
    limit(world, tiny=None)

    with pytest.raises(FailedError, match=r"data\.checks\.tiny"):
        snapshot(world)
    assert snapshot(world, "retrain-2")


def test_a_person_overrules_the_checks_and_the_log_says_who(world: World, caplog: pytest.LogCaptureFixture) -> None:
    record = snapshot(world, force=True, note="a test of small images")

    assert "ann overrules the checks of the data: " in caplog.text
    assert "(data.checks.tiny)" in caplog.text
    assert 80 == figures(record).tiny
    assert [world.bucket / record.report] == reports(world)


def test_nobody_overrules_files_that_cannot_be_used_and_the_report_lists_them(world: World, images: Path) -> None:
    limit(world, tiny=None)
    for number in range(3):
        (images / "cat" / f"bad {number}.png").write_bytes(png(7)[:-4])

    with pytest.raises(BadInputError, match=r"3 problems:(.|\n)*cat/bad 0\.png is cut off"):
        snapshot(world, force=True, note="they do not matter")
    (report,) = reports(world)
    assert [f"{images}/cat/bad {number}.png" for number in range(3)] == [
        path for path, _ in rows(report / "problems.csv")
    ]


def test_a_cleared_task_has_the_report_about_the_corrected_images(world: World, images: Path) -> None:
    """Files that cannot be used have no part in the digest of the data, which is the same in both reports."""
    limit(world, tiny=None)
    bad = images / "cat" / "bad.png"
    bad.write_bytes(png(7)[:-4])
    with pytest.raises(BadInputError):
        snapshot(world)
    bad.unlink()
    record = snapshot(world)

    assert [] == rows(world.bucket / record.report / "problems.csv")
    assert "Refused" not in (world.bucket / record.report / "index.html").read_text(encoding="utf-8")


def test_without_an_answer_of_what_serves_the_limit_of_label_errors_stops_nothing(world: World) -> None:
    """No version serves here. What one that serves suspects is in `tests/pipeline/inspection`."""
    limit(world, tiny=None, label_errors=0.0)

    assert 80 == figures(snapshot(world)).images()
