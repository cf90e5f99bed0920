"""Measure an exported SavedModel on encoded images: the bytes and the signature are those of a client."""

import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.progress import logged
from pipeline.verdicts.measurements import Performance
from serving import signature
from serving.inference.local_model import load_local_model

_BATCH = 128
_LATENCY_CALLS = 30
_CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Predictions:
    """The answers in the order of the images.

    Attributes:
        probabilities: of shape (images, classes).
        indices: the class number of each image.
        labels: the label of each image.
        latency_ms: the median of single-image calls, in milliseconds.
    """

    probabilities: NDArray[np.float32]
    indices: list[int]
    labels: list[str]
    latency_ms: float


class ExportedModel:
    """A SavedModel in memory, loaded as the model server loads it, so that the figures are those of the served model.

    `tf.saved_model.load` finds variables through Python objects, which a server never sees.
    """

    def __init__(self, folder: Path) -> None:
        """Load a folder of this machine and run its warm-up requests. The folder is not needed afterwards.

        Raises:
            StatusError: a server could not load it either.
        """
        self._model = load_local_model(folder)

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The SignatureDefs by name."""
        return self._model.signatures

    def predict(self, images: Sequence[bytes]) -> Predictions:
        """The answers for all images, and the latency after a warm-up."""
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        answers = [self._ask(batch) for batch in logged(batches, f"batches of {_BATCH} answered", total=len(batches))]
        taken = []
        for position in range(_LATENCY_CALLS):
            one = images[position % len(images)]
            start = time.perf_counter()
            self._ask([one])
            taken.append((time.perf_counter() - start) * 1000)
        return Predictions(
            probabilities=np.concatenate([probabilities for probabilities, _, _ in answers]),
            indices=[index for _, indices, _ in answers for index in indices.tolist()],
            labels=[label.decode() for _, _, labels in answers for label in labels.tolist()],
            latency_ms=statistics.median(taken),
        )

    def _ask(self, images: Sequence[bytes]) -> Sequence[NDArray[Any]]:
        """Probabilities, class indices and labels, in this order."""
        return self._model.run(*signature.feeds_and_fetches(self.signatures[signature.NAME], images))


def performance(
    predictions: Predictions, truth: Sequence[str], *, model_digest: str, data_digest: str, size_mb: float
) -> Performance:
    """The figures for the gate.

    Args:
        predictions: the answers.
        truth: the true label of each image, in the same order.
        model_digest: identifies the model.
        data_digest: identifies the images.
        size_mb: the size of the exported folder in 10^6 bytes.
    """
    right = np.array([given == true for given, true in zip(predictions.labels, truth, strict=True)])
    return Performance(
        model_digest=model_digest,
        data_digest=data_digest,
        examples=len(truth),
        accuracy=float(right.mean()),
        class_recall=_class_recall(truth, right),
        calibration_error=calibration_error(predictions.probabilities.max(axis=1), right),
        finite=bool(np.isfinite(predictions.probabilities).all()),
        size_mb=size_mb,
        latency_ms=predictions.latency_ms,
        right="".join("1" if each else "0" for each in right),
    )


def _class_recall(truth: Sequence[str], right: NDArray[np.bool_]) -> dict[str, float]:
    """The share of right answers of each label, by label. One pass, because there may be thousands of labels."""
    examples = Counter(truth)
    recognised = Counter(label for label, each in zip(truth, right.tolist(), strict=True) if each)
    return {label: recognised[label] / examples[label] for label in sorted(examples)}


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
