"""`announce`: which changes of what serves were not announced yet."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dags.moving import make_serve
from tests.pipeline.test_cli import pipeline


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In its journal v1, v2 and v3 began to serve: 30 and 20 minutes ago, and just now."""
    (tmp_path / "bucket").mkdir()
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(tmp_path / "bucket"))
    for number, minutes_ago in enumerate((30, 20, 0), 1):
        make_serve("digits", run_key=f"rollback-{number}", minutes_ago=minutes_ago)
    return tmp_path / "bucket"


def announce(folder: Path, *words: str, **form: Any) -> list[dict[str, Any]]:
    """What it prints, which is what it leaves for the program that has started it."""
    file = folder / "result.json"
    params = {"UNDERSTUDY_PARAMS": json.dumps(form)} if form else {}
    done = pipeline(folder, "announce", *words, UNDERSTUDY_RESULT_FILE=str(file), **params)
    assert 0 == done.returncode, done.stderr
    changes = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"verb": "announce", "model": "digits", "outcome": "done", "changes": changes} == json.loads(
        file.read_text()
    )
    assert ("digits: nothing to announce" in done.stderr) is not bool(changes)
    return changes


def test_a_change_is_listed_until_it_was_announced(bucket: Path, tmp_path: Path) -> None:
    """Nobody was told of the first two, and so only the newest is of interest."""
    before = sorted(path for path in bucket.rglob("*") if path.is_file())
    (newest,) = announce(tmp_path)

    assert (3, 3, "promoted", "rollback-3", "ann") == tuple(
        newest[name] for name in ("entry", "version", "event", "run_key", "by")
    )
    assert [] == announce(tmp_path, announced=[newest])
    assert before == sorted(path for path in bucket.rglob("*") if path.is_file())


def test_the_oldest_comes_first_and_what_is_too_young_waits(bucket: Path, tmp_path: Path) -> None:
    """The form may have fields for others, and the extras of others."""
    first = json.loads(min((bucket / "journal/digits").iterdir()).read_text())
    told = {"announced": [{"entry": 1, "at": first["at"].replace("Z", "+00:00")}, {"by": ["hand"]}], "model": "digits"}

    assert [2, 3] == [each["entry"] for each in announce(tmp_path, **told)]
    assert [2] == [each["entry"] for each in announce(tmp_path, **told, grace_seconds=60)]
    assert [2] == [each["entry"] for each in announce(tmp_path, "--grace-seconds", "60", **told)]
    assert [] == announce(tmp_path, **told, grace_seconds=3600)


def test_before_the_first_release_there_is_nothing_to_announce(tmp_path: Path) -> None:
    assert [] == announce(tmp_path)


@pytest.mark.parametrize(
    ("reason", "words", "form"),
    [
        ("the announcement: announced: Input should be a valid list (got 'all')", [], {"announced": "all"}),
        ("the announcement: announced.0: Input should be a valid dictionary (got 3)", [], {"announced": [3]}),
        ("the announcement: grace_seconds: Input should be a valid number", [], {"grace_seconds": "soon"}),
        ("the announcement: grace_seconds: Input should be less than or equal to 86400", [], {"grace_seconds": 1e300}),
        ("the announcement: grace_seconds: Input should be greater", ["--grace-seconds", "-1"], {}),
        ("the model 'digit' does not exist", ["--model", "digit"], {}),
    ],
)
def test_what_cannot_be_used_is_an_error_of_one_line_and_leaves_a_result(
    tmp_path: Path, reason: str, words: list[str], form: dict[str, Any]
) -> None:
    file = tmp_path / "result.json"
    done = pipeline(tmp_path, "announce", *words, UNDERSTUDY_PARAMS=json.dumps(form), UNDERSTUDY_RESULT_FILE=str(file))

    assert (1, "") == (done.returncode, done.stdout)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(file.read_text())
    assert "failed" == found["outcome"]
    assert reason in found["reason"]
