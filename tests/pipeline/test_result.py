"""How a verb ended, for the program that has started it."""

import json
from pathlib import Path

import pytest

from pipeline.result import LARGEST, VARIABLE, parse, read, write
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


def test_a_text_that_no_verb_has_written_is_no_result() -> None:
    """Without a result, Kubernetes gives the end of the log; a line of it may be JSON."""
    assert {} == parse('{"level": "error", "event": "no space left on device"}')


def test_a_result_fits_into_the_termination_message_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    monkeypatch.setenv(VARIABLE, str(file))
    write({"outcome": "failed", "reason": "ü" * 5000, "serving": 3})

    assert 3000 < file.stat().st_size <= LARGEST
    found = read(file)
    assert ("failed", 3) == (found["outcome"], found["serving"])
    assert found["reason"].startswith("ü" * 400)
    assert found["reason"].endswith("…")


def test_a_list_that_does_not_fit_loses_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result.json"
    monkeypatch.setenv(VARIABLE, str(file))
    changes = [{"entry": number, "event": "promoted", "by": "ann"} for number in range(200)]
    write({"outcome": "done", "changes": changes})

    assert file.stat().st_size <= LARGEST
    kept = read(file)["changes"]
    assert 30 < len(kept) < 200
    assert changes[: len(kept)] == kept


def test_kubernetes_empty_file_is_no_result_that_an_error_would_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "termination-log"
    file.touch()
    monkeypatch.setenv(VARIABLE, str(file))
    write({"outcome": "failed"}, unless_there=True)
    write({"outcome": "declined"}, unless_there=True)

    assert {"outcome": "failed"} == read(file)
