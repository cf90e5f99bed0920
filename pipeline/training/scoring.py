"""Judge an exported SavedModel on encoded images: the same bytes and the same signature that a client will use."""

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

from pipeline.progress import told
from pipeline.verdicts.measurements import Performance
from serving import signature
from serving.inference.local_model import load_local_model

_BATCH = 128
_LATENCY_CALLS = 30
_CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the images: probabilities (images, classes), and class index and label of each."""

    probabilities: NDArray[np.float32]
    indices: list[int]
    labels: list[str]
    latency_ms: float


class ExportedModel:
    """A SavedModel in memory, loaded as the model server loads it: what is judged here is what would be served.

    `tf.saved_model.load` would not do: it finds variables through Python objects that a server never sees.
    """

    def __init__(self, folder: Path) -> None:
        """Load a folder of this machine and run its warm-up requests. The folder is not needed afterwards.

        Raises:
            StatusError: a server could not load it either.
        """
        self._model = load_local_model(folder)

    @property
    def signatures(self) -> Mapping[str, Any]:
        return self._model.signatures

    def predict(self, images: Sequence[bytes]) -> Predictions:
        """Answers for all images; latency is the median of single-image calls, after warming up."""
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        answers = [self._ask(batch) for batch in told(batches, f"batches of {_BATCH} answered", total=len(batches))]
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
    """The figures the gate judges."""
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
    """The share of right answers of each label, by label; one pass, because there may be thousands of labels."""
    examples = Counter(truth)
    recognised = Counter(label for label, each in zip(truth, right.tolist(), strict=True) if each)
    return {label: recognised[label] / examples[label] for label in sorted(examples)}


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
