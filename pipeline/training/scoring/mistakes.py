"""The worst mistakes of a model: wrong answers that it was sure of."""

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 24


class Mistake(NamedTuple):
    """A wrong answer.

    Attributes:
        position: of the image, in the order of the images.
        true: the number of its class.
        given: the class number that the model gave.
        probability: of the given class, 0 to 1.
    """

    position: int
    true: int
    given: int
    probability: float


class WorstMistakes:
    """The wrong answers with the highest probability; of equal ones, the first. Those that are no numbers do not count.

    However many are added, 24 are kept.
    """

    def __init__(self) -> None:
        self._worst: list[Mistake] = []

    def add(
        self,
        first: int,
        *,
        true: NDArray[np.integer[Any]],
        given: NDArray[np.integer[Any]],
        probability: NDArray[np.floating[Any]],
        right: NDArray[np.bool_],
    ) -> None:
        """Add the answers for a batch, each of shape (batch,). `first` is the position of its first image."""
        wrong = np.flatnonzero(~right & np.isfinite(probability)).tolist()
        found = [Mistake(first + each, int(true[each]), int(given[each]), float(probability[each])) for each in wrong]
        self._worst = heapq.nsmallest(MOST, [*self._worst, *found], key=lambda each: (-each.probability, each.position))

    def result(self) -> tuple[Mistake, ...]:
        """The worst one first."""
        return tuple(self._worst)
