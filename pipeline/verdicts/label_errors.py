"""Find labels that are probably wrong, from what a model says about the images. Pure.

Confident learning: C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70 (2021), 1373-1411. Where every class is among the labels, the
package cleanlab finds the same examples in the same order. It has no threshold for a class that no example is labelled
with, so it would find nothing in a folder of new images that all belong to another class: the case that matters here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A class that no example is labelled with has no threshold in the paper.
_LOWEST_UNSEEN = 0.5


@dataclass(frozen=True)
class SuspectedErrors:
    """Examples whose label is probably wrong, the most certain ones first.

    Attributes:
        examples: their positions, shape (suspects,).
        suggested: the class that the model is confident of, shape (suspects,).
    """

    examples: NDArray[np.intp]
    suggested: NDArray[np.intp]


def find_label_errors(probabilities: NDArray[np.floating[Any]], given: NDArray[np.integer[Any]]) -> SuspectedErrors:
    """The examples off the diagonal of the confident joint, ordered by their normalized margin.

    A class is a confident answer if its probability is at least the mean probability of that class among the examples
    labelled with it. An example is suspected if its most probable confident answer is another class than its label. As
    the package does, one whose label is the most probable answer of all is not.

    The matrix itself, classes x classes, is not computed. Time and memory are linear in examples x classes.

    Args:
        probabilities: finite, shape (examples, classes), from a model that was not trained on these examples.
        given: the class that each example is labelled with, shape (examples,).
    """
    if not len(given):
        nothing = np.empty(0, np.intp)
        return SuspectedErrors(nothing, nothing)
    rows = np.arange(len(given))
    own = probabilities[rows, given]
    confident = np.where(probabilities >= thresholds(probabilities, given), probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    is_suspected = (confident[rows, suggested] >= 0) & (suggested != given) & (own < probabilities.max(axis=1))
    found = np.flatnonzero(is_suspected)
    others = probabilities[found]
    others[np.arange(len(found)), given[found]] = -np.inf
    margins = own[found] - others.max(axis=1)
    order = np.argsort(margins, kind="stable")
    return SuspectedErrors(found[order], suggested[found[order]])


def thresholds(probabilities: NDArray[np.floating[Any]], given: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The mean self-confidence of each class, shape (classes,).

    New images may all be in one folder, and be of another class. So a class that no example is labelled with gets the
    mean self-confidence of all examples, but at least 0.5.
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    counts = np.bincount(given, minlength=classes)
    sums = np.bincount(given, weights=own, minlength=classes)
    unseen = max(float(own.mean()), _LOWEST_UNSEEN)
    # A mean of float32 probabilities may be a hair above all of them.
    return np.where(counts > 0, sums / np.maximum(counts, 1) - 1e-9, unseen)
