"""The state of a training comes back from its checkpoints, also from some of them."""

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline import layout
from pipeline.runs.records import Epoch
from pipeline.spec import EarlyStopping
from pipeline.storage.local import LocalBucket
from pipeline.training.fitting.best_epoch import BestEpoch
from pipeline.training.fitting.checkpoints import Arrays, Checkpoints
from pipeline.training.fitting.phases import Phase
from pipeline.training.fitting.training_state import TrainingState, newest_state

METRIC = "validation/loss"
PHASE = Phase("head", 9, 0.1)
STOPPING = EarlyStopping(patience=5, min_delta=0.15)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(LocalBucket(tmp_path), "digits", "retrain-1", of="all settings")


def arrays(number: int) -> Arrays:
    """Two weights, and a variable of the optimiser."""
    return [np.full((2, 3), number, np.float32), np.array([number]), np.array(-number)]


def trained(checkpoints: Checkpoints, losses: list[float], *, odd: int = 0) -> TrainingState:
    """A training with these losses; the arrays of the epoch `odd` are those of another network."""
    state = TrainingState(BestEpoch(METRIC), phase=1, phase_ends=(0,), facts={"device": "CPU"})
    for number, loss in enumerate(losses, start=1):
        metrics = {"train/loss": 1.0, METRIC: loss}
        state.add(Epoch(at=datetime(2026, 1, number, tzinfo=UTC), metrics=metrics), PHASE, stopping=STOPPING)
        if state.newest_is_best:
            state.best_weights = arrays(number)[:2]
        state.save(checkpoints, arrays(number)[1:] if number == odd else arrays(number))
    return state


def first_numbers(found: Arrays) -> list[float]:
    return [float(each.flat[0]) for each in found]


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.4, 0.7], [0.5, 0.4, 0.3, 0.45]])
def test_it_comes_back_as_it_was(checkpoints: Checkpoints, losses: list[float]) -> None:
    state = trained(checkpoints, losses)
    found = newest_state(checkpoints, METRIC, weights=2)
    assert found is not None
    read, variables = found

    assert first_numbers(arrays(len(losses))) == first_numbers(variables)
    assert first_numbers(state.best_weights) == first_numbers(read.best_weights)
    assert (state.best, state.best_name, state.epochs) == (read.best, read.best_name, read.epochs)
    assert (1, (0,), False, {"device": "CPU"}) == (read.phase, read.phase_ends, read.is_over, read.facts)


def test_without_a_checkpoint_there_is_none(checkpoints: Checkpoints) -> None:
    assert newest_state(checkpoints, METRIC, weights=2) is None


@pytest.mark.parametrize("odd", [0, 2], ids=["it is gone", "it is of another network"])
def test_if_the_best_epoch_is_lost_the_newest_takes_its_place_and_early_stopping_waits_as_before(
    checkpoints: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture, odd: int
) -> None:
    state = trained(checkpoints, [0.5, 0.2, 0.4, 0.3], odd=odd)
    if not odd:
        shutil.rmtree(tmp_path / layout.checkpoint("digits", "retrain-1", state.best_name))
    with caplog.at_level(logging.WARNING):
        found = newest_state(checkpoints, METRIC, weights=2)
    assert found is not None
    read, _ = found

    assert (4, 0.3) == (read.best.number, read.best.value)
    assert [4.0, 4.0] == first_numbers(read.best_weights)
    assert (state.best.reference, state.best.since) == (read.best.reference, read.best.since)
    assert "the checkpoint of the best epoch, 2, is lost. The newest epoch, 4, takes its place" in caplog.text
    assert read.best_name.startswith("0004-")
