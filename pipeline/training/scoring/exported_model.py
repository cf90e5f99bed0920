"""Measure an exported SavedModel on encoded images: the bytes and the signature are those of a client.

The images come in batches, and little is kept of each: a data set that is larger than the memory can be measured.
"""

import math
import statistics
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.progress import logged
from pipeline.training.scoring.mistakes import Mistake, WorstMistakes
from serving import signature
from serving.inference.local_model import load_local_model

# Images per call. The export was compared with its network for it, see `pipeline.training.exporting.equality`.
BATCH = 64
_LATENCY_CALLS = 30


@dataclass(frozen=True)
class Predictions:
    """The answers in the order of the images.

    Attributes:
        indices: the class number of each image, int32 (images,).
        labels: the label that the model gave each image.
        right: whether that is its true label, (images,).
        confidence: the highest probability of each image, float32 (images,).
        finite: whether all probabilities are finite.
        latency_ms: the median of single-image calls, in milliseconds.
        kept: all probabilities (classes,) of the images that were asked for, by their position.
        worst: the wrong answers with the highest probability, the worst one first; at most 24.
    """

    indices: NDArray[np.int32]
    labels: list[str]
    right: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    finite: bool
    latency_ms: float
    kept: Mapping[int, NDArray[np.float32]]
    worst: tuple[Mistake, ...]


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

    def predict(
        self,
        batches: Iterable[Sequence[bytes]],
        classes: NDArray[np.integer[Any]],
        labels: Sequence[str],
        *,
        kept: Collection[int] = (),
    ) -> Predictions:
        """The answers for all images, and the latency after a warm-up. One batch is in memory at a time, and 30 images.

        Args:
            batches: the encoded images in their order, at least one; best BATCH of them at a time.
            classes: the true class of each image, shape (images,).
            labels: of these classes. The model may have other ones.
            kept: the positions of images whose probabilities are returned.
        """
        answers = _Answers(classes, labels, frozenset(kept))
        first: list[bytes] = []
        total = math.ceil(len(classes) / BATCH)
        for batch in logged(batches, f"batches of {BATCH} answered", total=total):
            answers.add(*self._ask(batch))
            first.extend(batch[: _LATENCY_CALLS - len(first)])
        return answers.result(latency_ms=self._latency_ms(first))

    def probabilities(self, images: Sequence[bytes]) -> NDArray[np.float32]:
        """All probabilities for a few images, shape (images, classes). There must be at least one."""
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate([self._ask(batch)[0] for batch in batches])

    def _latency_ms(self, images: Sequence[bytes]) -> float:
        taken = []
        for position in range(_LATENCY_CALLS):
            one = images[position % len(images)]
            start = time.perf_counter()
            self._ask([one])
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken)

    def _ask(self, images: Sequence[bytes]) -> Sequence[NDArray[Any]]:
        """Probabilities, class indices and labels, in this order."""
        return self._model.run(*signature.feeds_and_fetches(self.signatures[signature.NAME], images))


class _Answers:
    """What is kept of the answers, batch by batch."""

    def __init__(self, classes: NDArray[np.integer[Any]], labels: Sequence[str], kept: frozenset[int]) -> None:
        images = len(classes)
        self._classes, self._truth = classes, labels
        self._kept_positions = kept
        self._count = 0
        self._indices = np.zeros(images, np.int32)
        self._right = np.zeros(images, np.bool_)
        self._confidence = np.zeros(images, np.float32)
        self._labels: list[str] = []
        # So that equal labels are one object, however many images have them.
        self._known: dict[bytes, str] = {}
        self._finite = True
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._worst = WorstMistakes()

    def add(self, probabilities: NDArray[np.float32], indices: NDArray[np.int64], labels: NDArray[np.object_]) -> None:
        first, behind = self._count, self._count + len(indices)
        given = [self._known.setdefault(label, label.decode()) for label in labels.tolist()]
        true = self._classes[first:behind]
        right = np.array([label == self._truth[each] for label, each in zip(given, true.tolist(), strict=True)])
        confidence = probabilities.max(axis=1)
        self._worst.add(first, true=true, given=indices, probability=confidence, right=right)
        self._labels.extend(given)
        self._indices[first:behind], self._right[first:behind] = indices, right
        self._confidence[first:behind] = confidence
        self._finite &= bool(np.isfinite(probabilities).all())
        for position in self._kept_positions.intersection(range(first, behind)):
            # A copy: a row of the batch would keep the whole batch in memory.
            self._kept[position] = probabilities[position - first].copy()
        self._count = behind

    def result(self, *, latency_ms: float) -> Predictions:
        assert self._count == len(self._classes), f"{self._count} images for {len(self._classes)} classes"
        return Predictions(
            indices=self._indices,
            labels=self._labels,
            right=self._right,
            confidence=self._confidence,
            finite=self._finite,
            latency_ms=latency_ms,
            kept=self._kept,
            worst=self._worst.result(),
        )
