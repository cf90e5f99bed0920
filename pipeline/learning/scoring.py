"""Judge an exported SavedModel on encoded images: the same bytes and the same signature that a client will use."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Performance
from serving.canary import INPUT, LABEL, PROBABILITIES

_BATCH = 128
_LATENCY_CALLS = 30
_CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the images: probabilities (images, classes) and the label of each."""

    probabilities: NDArray[np.float32]
    labels: list[str]
    latency_ms: float


def predict(folder: str, images: Sequence[bytes]) -> Predictions:
    """Run a SavedModel over all images; latency is the median of single-image calls, after warming up."""
    import tensorflow as tf

    model = tf.saved_model.load(folder)  # holds the variables that the signature uses
    signature = model.signatures["serving_default"]

    def ask(batch: Sequence[bytes]) -> dict[str, Any]:
        answer: dict[str, Any] = signature(**{INPUT: tf.constant(list(batch))})
        return answer

    answers = [ask(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    ask(images[:1])
    taken = []
    for position in range(_LATENCY_CALLS):
        one = images[position % len(images)]
        start = time.perf_counter()
        ask([one])
        taken.append((time.perf_counter() - start) * 1000)
    return Predictions(
        probabilities=np.concatenate([answer[PROBABILITIES].numpy() for answer in answers]),
        labels=[label.decode() for answer in answers for label in answer[LABEL].numpy().tolist()],
        latency_ms=statistics.median(taken),
    )


def performance(
    predictions: Predictions, truth: Sequence[str], *, model_digest: str, data_digest: str, size_mb: float
) -> Performance:
    """The figures the gate judges."""
    right = np.array([given == true for given, true in zip(predictions.labels, truth, strict=True)])
    expected = np.array(truth)
    return Performance(
        model_digest=model_digest,
        data_digest=data_digest,
        examples=len(truth),
        accuracy=float(right.mean()),
        class_recall={label: float(right[expected == label].mean()) for label in sorted(set(truth))},
        calibration_error=calibration_error(predictions.probabilities.max(axis=1), right),
        finite=bool(np.isfinite(predictions.probabilities).all()),
        size_mb=size_mb,
        latency_ms=predictions.latency_ms,
        right="".join("1" if each else "0" for each in right),
    )


def calibration_error(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """The expected calibration error with ten equal bins: how far confidence is from being right, on average.

    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015. NaN where a confidence is no number.
    """
    if not np.isfinite(confidence).all():
        return math.nan
    bins = np.clip((confidence * _CALIBRATION_BINS).astype(int), 0, _CALIBRATION_BINS - 1)
    gaps = [
        np.mean(bins == each) * abs(float(confidence[bins == each].mean()) - float(right[bins == each].mean()))
        for each in np.unique(bins)
    ]
    return float(sum(gaps))
