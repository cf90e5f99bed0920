"""The figures the gate judges."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.training.scoring.exported_model import Predictions
from pipeline.training.scoring.mistakes import Mistake, WorstMistakes
from pipeline.training.scoring.performance import calibration_error, performance
from pipeline.verdicts.measurements import Performance

LABELS = ("a", "b", "c")


def judged(
    given: list[int], classes: list[int], labels: tuple[str, ...] = LABELS, *, finite: bool = True
) -> Performance:
    return figures(np.array(given, np.int32), np.array(classes, np.int32), labels, finite=finite)


def figures(
    given: NDArray[np.int32], classes: NDArray[np.int32], labels: tuple[str, ...], *, finite: bool = True
) -> Performance:
    predictions = Predictions(
        indices=given,
        labels=[labels[each] for each in given],
        right=given == classes,
        confidence=np.full(len(given), 0.9 if finite else np.nan, np.float32),
        finite=finite,
        latency_ms=1.0,
        kept={},
        worst=(),
    )
    return performance(predictions, classes, labels, model_digest="m", data_digest="d", size_mb=1)


def test_accuracy_recall_and_the_answers_one_by_one() -> None:
    found = judged([0, 0, 1, 0], [0, 0, 1, 1])

    assert 0.75 == found.accuracy
    assert {"a": 1.0, "b": 0.5} == found.class_recall
    assert "1110" == found.right
    assert found.finite
    assert 4 == found.examples


def test_recalls_are_in_the_order_of_the_labels_as_text() -> None:
    assert ["a", "b"] == list(judged([0, 1], [0, 1], ("b", "a")).class_recall)


def test_answers_that_are_no_numbers_are_seen() -> None:
    found = judged([0, 1], [0, 1], finite=False)

    assert not found.finite
    assert np.isnan(found.calibration_error)


@pytest.mark.parametrize(("expected", "confidence"), [(0.0, 0.75), (0.2, 0.95), (0.25, 0.5)])
def test_calibration_error_is_the_distance_of_confidence_from_being_right(expected: float, confidence: float) -> None:
    """Three of four are right in one bin, so the error is |confidence - 0.75|."""
    right = np.array([True, True, True, False])

    assert expected == pytest.approx(calibration_error(np.full(4, confidence), right))


def test_time_grows_with_the_examples_and_not_with_the_labels() -> None:
    classes = np.arange(60_000, dtype=np.int32) % 20_000
    start = time.monotonic()
    found = figures(classes, classes, tuple(f"label {number}" for number in range(20_000)))

    assert 20_000 == len(found.class_recall)
    assert time.monotonic() - start < 5


def test_the_worst_mistakes_are_the_surest_wrong_answers_of_all_batches() -> None:
    worst = WorstMistakes()
    for first in range(0, 100, 10):
        probability = np.arange(first, first + 10) / 100
        right = np.arange(10) % 2 == 0
        worst.add(first, true=np.zeros(10, int), given=np.ones(10, int), probability=probability, right=right)
    found = worst.result()

    assert 24 == len(found)
    assert Mistake(position=99, true=0, given=1, probability=0.99) == found[0]
    assert list(range(99, 52, -2)) == [each.position for each in found]


def test_of_mistakes_that_are_equally_sure_the_first_are_kept() -> None:
    worst = WorstMistakes()
    for first in (0, 30):
        zeros = np.zeros(30, int)
        worst.add(first, true=zeros, given=zeros + 1, probability=np.full(30, 0.5), right=zeros > 0)

    assert list(range(24)) == [each.position for each in worst.result()]


def test_an_answer_that_is_no_number_is_no_mistake_to_show() -> None:
    worst = WorstMistakes()
    one = np.ones(1, int)
    worst.add(0, true=one, given=one, probability=np.array([np.nan]), right=one < 1)

    assert () == worst.result()
