"""Checkpoints of a training in the bucket: complete or not there, and never of another training."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline import layout
from pipeline.errors import NewerVersionError
from pipeline.runs.records import Epoch
from pipeline.storage.local import LocalBucket
from pipeline.training.fitting.checkpoints import Arrays, Checkpoints, State
from pipeline.training.fitting.training_state import newest_state, policy_of

KEY = "retrain-1"


def state(epochs: int, *, best: int = 1, best_name: str = "") -> State:
    metrics = {"train/loss": float("nan")}
    return State(
        of="all settings",
        sha256="",
        phase=0,
        epochs=tuple(Epoch(at=datetime(2026, 1, 1, tzinfo=UTC), metrics=metrics) for _ in range(epochs)),
        best=best,
        best_value=0.5,
        since=0,
        best_name=best_name,
    )


def arrays(number: int) -> Arrays:
    return [np.full((2, 3), number, np.float32), np.array(7, np.int64), np.array([1, 2], np.uint32)]


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


@pytest.fixture
def checkpoints(bucket: LocalBucket) -> Checkpoints:
    return Checkpoints(bucket, "digits", KEY, of="all settings")


def newest(checkpoints: Checkpoints) -> tuple[State, str] | None:
    return next(checkpoints.newest_first(), None)


def names(bucket: LocalBucket) -> list[str]:
    return bucket.names(layout.checkpoints("digits", KEY))


def test_the_newest_one_is_found_with_its_arrays(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), arrays(1))
    name = checkpoints.save(state(2), arrays(2))
    found = newest(checkpoints)
    assert found is not None
    loaded = checkpoints.arrays(found[1])
    assert loaded is not None

    assert (2, name) == (len(found[0].epochs), found[1])
    assert [("float32", 2.0), ("int64", 7), ("uint32", 1)] == [(str(each.dtype), each.flat[0]) for each in loaded]


def test_without_one_a_training_begins(checkpoints: Checkpoints) -> None:
    assert newest(checkpoints) is None


def test_only_the_newest_and_the_best_one_stay(bucket: LocalBucket, checkpoints: Checkpoints) -> None:
    best = checkpoints.save(state(1), arrays(1))
    for number in (2, 3):
        newest = checkpoints.save(state(number, best_name=best), arrays(number))

    assert [best, newest] == names(bucket)


def test_the_same_epoch_twice_is_stored_once(bucket: LocalBucket, checkpoints: Checkpoints) -> None:
    assert checkpoints.save(state(1), arrays(1)) == checkpoints.save(state(1), arrays(1))
    assert 1 == len(names(bucket))


def test_an_older_copy_of_the_task_deletes_nothing_newer(bucket: LocalBucket, checkpoints: Checkpoints) -> None:
    newer = checkpoints.save(state(5), arrays(5))
    checkpoints.save(state(2), arrays(2))
    found = newest(checkpoints)

    assert newer in names(bucket)
    assert found is not None
    assert newer == found[1]


def test_one_whose_state_was_not_written_does_not_count(
    bucket: LocalBucket, checkpoints: Checkpoints, tmp_path: Path
) -> None:
    """As after a kill between the two."""
    first = checkpoints.save(state(1), arrays(1))
    second = checkpoints.save(state(2, best_name=first), arrays(2))
    (tmp_path / layout.checkpoint("digits", KEY, second) / "state.json").unlink()
    found = newest(checkpoints)

    assert [first, second] == names(bucket)
    assert found is not None
    assert first == found[1]


@pytest.mark.parametrize("damage", [b"", b"other bytes", None])
def test_damaged_arrays_are_left_out_with_a_warning(
    checkpoints: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    name = checkpoints.save(state(1), arrays(1))
    path = tmp_path / layout.checkpoint("digits", KEY, name) / "arrays.npz"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)

    with caplog.at_level(logging.WARNING):
        assert checkpoints.arrays(name) is None
    assert "a checkpoint is left out" in caplog.text
    assert name in caplog.text


def test_a_training_falls_back_to_an_older_one_that_is_not_damaged(checkpoints: Checkpoints, tmp_path: Path) -> None:
    best = checkpoints.save(state(1), arrays(1))
    newer = checkpoints.save(state(2, best_name=best), arrays(2))
    (tmp_path / layout.checkpoint("digits", KEY, newer) / "arrays.npz").write_bytes(b"damaged")
    found = newest_state(checkpoints, "train/loss", weights=1)
    assert found is not None

    assert (1, 1) == (len(found[0].epochs), found[1][0].flat[0])


def test_a_full_disk_costs_no_training(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The temporary folder cannot be made: as good as one that cannot be filled."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    assert not checkpoints.save(state(1), arrays(1))
    assert "could not be saved after epoch 1" in caplog.text


def test_a_training_is_resumed_in_its_precision(checkpoints: Checkpoints) -> None:
    assert not policy_of(checkpoints)
    checkpoints.save(state(1).model_copy(update={"facts": {"precision": "mixed_float16"}}), arrays(1))

    assert "mixed_float16" == policy_of(checkpoints)


def test_a_damaged_state_is_left_out(checkpoints: Checkpoints, tmp_path: Path) -> None:
    first = checkpoints.save(state(1), arrays(1))
    second = checkpoints.save(state(2, best_name=first), arrays(2))
    (tmp_path / layout.checkpoint("digits", KEY, second) / "state.json").write_bytes(b"{")
    found = newest(checkpoints)

    assert found is not None
    assert first == found[1]


def test_one_of_a_newer_version_is_not_guessed_at(checkpoints: Checkpoints, tmp_path: Path) -> None:
    name = checkpoints.save(state(1), arrays(1))
    path = tmp_path / layout.checkpoint("digits", KEY, name) / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rounds": 3}))

    with pytest.raises(NewerVersionError, match="rounds"):
        newest(checkpoints)


def test_a_training_with_other_settings_begins_anew(bucket: LocalBucket, checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), arrays(1))

    assert newest(Checkpoints(bucket, "digits", KEY, of="other settings")) is None


def test_a_bucket_that_refuses_costs_no_training(
    checkpoints: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be")

    assert not checkpoints.save(state(1), arrays(1))
    assert "the training continues, but could not be saved after epoch 1" in caplog.text


def test_after_the_training_nothing_is_left(bucket: LocalBucket, checkpoints: Checkpoints) -> None:
    checkpoints.save(state(1), arrays(1))
    checkpoints.remove()

    assert [] == names(bucket)
