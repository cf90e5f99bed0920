"""Which epoch is the best one, and when a phase is over."""

import math

import pytest

from pipeline.spec import EarlyStopping
from pipeline.training.fitting.best_epoch import BestEpoch


def after(values: list[float], *, metric: str = "validation/loss", stopping: EarlyStopping | None = None) -> BestEpoch:
    best = BestEpoch(metric)
    for number, value in enumerate(values, start=1):
        best = best.after(number, {"train/loss": 0.5, "train/accuracy": 0.5, metric: value}, stopping=stopping)
    return best


@pytest.mark.parametrize(
    ("metric", "values", "number"),
    [
        ("validation/loss", [3.0, 1.0, 2.0], 2),
        ("validation/accuracy", [0.3, 0.1, 0.5, 0.4], 3),
        ("train/loss", [1.0, 1.0], 1),
        ("validation/loss", [math.nan, 2.0, math.nan], 2),
        ("validation/loss", [math.nan, math.inf], 0),
    ],
)
def test_the_best_one_has_the_lowest_loss_or_the_highest_accuracy(
    metric: str, values: list[float], number: int
) -> None:
    assert number == after(values, metric=metric).number


def test_without_validation_the_same_metric_of_the_training_counts() -> None:
    best = BestEpoch("validation/accuracy")
    for number, value in enumerate([0.2, 0.9, 0.8], start=1):
        best = best.after(number, {"train/loss": 1.0, "train/accuracy": value}, stopping=None)

    assert (2, 0.9) == (best.number, best.value)


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "is_over"),
    [
        ([1.0, 2.0], 2, 0.0, False),
        ([1.0, 2.0, 3.0], 2, 0.0, True),
        ([1.0, 2.0, 0.9], 2, 0.0, False),
        # Better, and not by enough: the epoch is the best one, and the phase ends all the same.
        ([1.0, 0.99, 0.98], 2, 0.05, True),
    ],
)
def test_a_phase_is_over_after_so_many_epochs_that_were_not_better(
    values: list[float], patience: int, min_delta: float, *, is_over: bool
) -> None:
    stopping = EarlyStopping(patience=patience, min_delta=min_delta)

    assert is_over == after(values, stopping=stopping).has_waited(stopping)


def test_small_gains_add_up_so_a_slow_training_does_not_stop() -> None:
    """Each gain is below `min_delta`, and two of them are above it."""
    stopping = EarlyStopping(patience=3, min_delta=0.01)
    best = BestEpoch("validation/loss")
    for number in range(1, 31):
        metrics = {"train/loss": 1.0, "validation/loss": 1.0 - 0.009 * number}
        best = best.after(number, metrics, stopping=stopping)

        assert (number, False) == (best.number, best.has_waited(stopping))


def test_the_best_one_may_be_better_by_less_than_what_counts() -> None:
    assert 3 == after([1.0, 0.99, 0.98], stopping=EarlyStopping(patience=9, min_delta=0.05)).number


def test_the_next_phase_waits_anew_and_must_beat_the_best_one_of_all() -> None:
    stopping = EarlyStopping(patience=2)
    best = after([1.0, 2.0, 3.0], stopping=stopping).in_the_next_phase()
    next_one = best.after(4, {"train/loss": 0.1, "validation/loss": 1.5}, stopping=stopping)

    assert not best.has_waited(stopping)
    assert (1, False) == (next_one.number, next_one.has_waited(stopping))


def test_without_early_stopping_no_phase_ends_early() -> None:
    assert not after([1.0] * 50).has_waited(None)
