"""The figures the gate judges."""

import time

import numpy as np
import pytest

from pipeline.training.scoring import Predictions, calibration_error, performance


def predictions(labels: list[str], confidence: float = 0.9) -> Predictions:
    probabilities = np.full((len(labels), 2), 1 - confidence, np.float32)
    for row, label in enumerate(labels):
        probabilities[row, int(label)] = confidence
    return Predictions(probabilities, [int(label) for label in labels], labels, latency_ms=1.0)


def test_accuracy_recall_and_the_answers_one_by_one() -> None:
    judged = performance(
        predictions(["0", "0", "1", "0"]), ["0", "0", "1", "1"], model_digest="m", data_digest="d", size_mb=1
    )

    assert 0.75 == judged.accuracy
    assert {"0": 1.0, "1": 0.5} == judged.class_recall
    assert "1110" == judged.right
    assert judged.finite


def test_answers_that_are_no_numbers_are_seen() -> None:
    broken = predictions(["0", "1"])
    broken.probabilities[0, 0] = np.nan
    judged = performance(broken, ["0", "1"], model_digest="m", data_digest="d", size_mb=1)

    assert not judged.finite
    assert np.isnan(judged.calibration_error)


@pytest.mark.parametrize(("expected", "confidence"), [(0.0, 0.75), (0.2, 0.95), (0.25, 0.5)])
def test_calibration_error_is_the_distance_of_confidence_from_being_right(expected: float, confidence: float) -> None:
    """Three of four are right in one bin, so the error is |confidence - 0.75|."""
    right = np.array([True, True, True, False])

    assert expected == pytest.approx(calibration_error(np.full(4, confidence), right))


def test_time_grows_with_the_examples_and_not_with_the_labels() -> None:
    truth = [f"label {number % 20_000}" for number in range(60_000)]
    answers = Predictions(np.ones((len(truth), 1), np.float32), [0] * len(truth), truth, latency_ms=1.0)
    start = time.monotonic()
    judged = performance(answers, truth, model_digest="m", data_digest="d", size_mb=1)

    assert 20_000 == len(judged.class_recall)
    assert time.monotonic() - start < 5
