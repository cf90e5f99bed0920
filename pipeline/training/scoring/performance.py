"""The figures for the gate, from the answers of an exported model."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.scoring.exported_model import Predictions
from pipeline.verdicts.measurements import Performance

_CALIBRATION_BINS = 10


def performance(
    predictions: Predictions,
    classes: NDArray[np.integer[Any]],
    labels: Sequence[str],
    *,
    model_digest: str,
    data_digest: str,
    size_mb: float,
) -> Performance:
    """The figures for the gate.

    Args:
        predictions: the answers.
        classes: the true class of each image, in the same order.
        labels: of these classes.
        model_digest: identifies the model.
        data_digest: identifies the images.
        size_mb: the size of the exported folder in 10^6 bytes.
    """
    return Performance(
        model_digest=model_digest,
        data_digest=data_digest,
        examples=len(classes),
        accuracy=float(predictions.right.mean()),
        class_recall=_class_recall(classes, labels, predictions.right),
        calibration_error=calibration_error(predictions.confidence, predictions.right),
        finite=predictions.finite,
        size_mb=size_mb,
        latency_ms=predictions.latency_ms,
        right=(predictions.right + np.uint8(ord("0"))).tobytes().decode("ascii"),
    )


def _class_recall(
    classes: NDArray[np.integer[Any]], labels: Sequence[str], right: NDArray[np.bool_]
) -> dict[str, float]:
    """The share of right answers of each label that has images, by label."""
    examples = np.bincount(classes, minlength=len(labels))
    recognised = np.bincount(classes[right], minlength=len(labels))
    present = sorted(np.flatnonzero(examples).tolist(), key=lambda each: labels[each])
    return {labels[each]: float(recognised[each] / examples[each]) for each in present}


def calibration_error(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """The expected calibration error, 0 to 1, with ten equal bins: the mean distance between confidence and accuracy.

    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI
    2015.

    Args:
        confidence: the highest probability of each answer, shape (images,).
        right: whether each answer is right, shape (images,).

    Returns:
        NaN if a confidence is not finite.
    """
    if not np.isfinite(confidence).all():
        return math.nan
    bins = np.clip((confidence * _CALIBRATION_BINS).astype(int), 0, _CALIBRATION_BINS - 1)
    gaps = [
        np.mean(bins == each) * abs(float(confidence[bins == each].mean()) - float(right[bins == each].mean()))
        for each in np.unique(bins)
    ]
    return float(sum(gaps))
