"""How a verb ended, for the program that has started it."""

import json
from pathlib import Path

import pytest

from pipeline.result import read
from tests.pipeline.test_cli import pipeline
from tests.releases import World


def test_a_verb_leaves_its_outcome_its_reason_and_what_serves(world: World, tmp_path: Path) -> None:
    world.release("retrain-1")
    file = tmp_path / "result.json"
    done = pipeline(
        world.folder, "freeze", "--until", "2001-01-01", "--reason", "why", UNDERSTUDY_RESULT_FILE=str(file)
    )

    assert 1 == done.returncode
    found = json.loads(file.read_text())
    assert ("freeze", "digits", "failed", 1) == tuple(found[name] for name in ("verb", "model", "outcome", "serving"))
    assert "2001-01-01 00:00 UTC has passed" in found["reason"]


def test_a_plan_that_cannot_be_carried_out_leaves_a_result_too(world: World, tmp_path: Path) -> None:
    world.release("retrain-1")
    file = tmp_path / "result.json"
    done = pipeline(
        world.folder, "rollback", "--plan", "--to", "9", "--reason", "why", UNDERSTUDY_RESULT_FILE=str(file)
    )

    assert 1 == done.returncode
    found = json.loads(file.read_text())
    assert ("rollback", "digits", "failed", 1) == tuple(found[name] for name in ("verb", "model", "outcome", "serving"))
    assert "v9 has never served" in found["reason"]


def test_an_error_before_a_verb_has_begun_leaves_a_result_too(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    pipeline(tmp_path, "freeze", "--reason", "why", UNDERSTUDY_RESULT_FILE=str(file))

    assert {"outcome": "failed", "reason": "the freeze: until: Field required"} == json.loads(file.read_text())


def test_a_result_that_cannot_be_written_changes_no_outcome(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "init", UNDERSTUDY_RESULT_FILE=str(tmp_path / "missing" / "result.json"))

    assert 0 == done.returncode


@pytest.mark.parametrize("content", ["", "{", "[1]", None])
def test_a_result_that_cannot_be_read_is_empty(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "result.json"
    if content is not None:
        file.write_text(content)

    assert {} == read(file)
