"""Confident learning: a case by hand, and labels that were flipped on purpose."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.verdicts.label_errors import find_label_errors, thresholds

Array = NDArray[Any]


def answers(examples: int, classes: int, *, seed: int, sureness: float = 5.0) -> tuple[Array, Array]:
    """Calibrated probabilities of a model, and the true classes, which are drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(examples, classes))
    logits[np.arange(examples), random.integers(classes, size=examples)] += sureness + np.log(classes)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (random.random((examples, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return probabilities.astype(np.float32), np.minimum(drawn, classes - 1)


def test_a_case_by_hand() -> None:
    """Class 0: (0.9 + 0.8 + 0.1) / 3 = 0.6. Class 1: (0.7 + 0.6 + 0.2) / 3 = 0.5."""
    of_class_1 = np.array([0.1, 0.2, 0.9, 0.7, 0.6, 0.2])
    probabilities = np.stack([1 - of_class_1, of_class_1], axis=1)
    given = np.array([0, 0, 0, 1, 1, 1])
    found = find_label_errors(probabilities, given)

    assert [pytest.approx(0.6), pytest.approx(0.5)] == thresholds(probabilities, given).tolist()
    assert [2, 5] == found.examples.tolist(), "their margins are -0.8 and -0.6"
    assert [1, 0] == found.suggested.tolist()


def test_an_answer_below_the_threshold_of_its_class_is_no_suspicion() -> None:
    """A model that is often sure of class 1 says more by 0.9 than by 0.55."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.05, 0.95], [0.1, 0.9]])

    assert [] == find_label_errors(probabilities, np.array([0, 0, 0, 1, 1])).examples.tolist()


def test_an_image_whose_label_the_model_thinks_most_probable_is_not_suspected() -> None:
    """0.5 is below the threshold of class 0, and 0.45 above that of class 1."""
    probabilities = np.array([[0.99, 0.01, 0], [0.99, 0.01, 0], [0.5, 0.45, 0.05], [0.6, 0.4, 0], [0.6, 0.4, 0]])

    assert [] == find_label_errors(probabilities, np.array([0, 0, 0, 1, 1])).examples.tolist()


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_of_five_percent_flipped_labels_most_are_found(classes: int) -> None:
    """By a model that is right in 98 %: recall 0.96 to 0.98, precision 0.79 to 0.87. The rest it gets wrong itself."""
    probabilities, true = answers(4000, classes, seed=classes)
    random = np.random.default_rng(1)
    flipped = random.choice(4000, size=200, replace=False)
    given = true.copy()
    given[flipped] = (true[flipped] + random.integers(1, classes, size=200)) % classes
    found = set(find_label_errors(probabilities, given).examples.tolist())
    right = found & set(flipped.tolist())

    assert len(right) / len(flipped) > 0.95
    assert len(right) / len(found) > 0.75


def test_what_is_most_certain_comes_first() -> None:
    probabilities, true = answers(2000, 10, seed=3)
    given = np.where(np.arange(2000) < 100, (true + 1) % 10, true)
    found = find_label_errors(probabilities, given)
    own = probabilities[found.examples, given[found.examples]]
    margins = own - probabilities[found.examples].max(axis=1)

    assert margins.tolist() == sorted(margins.tolist())
    assert (found.examples[:50] < 100).mean() > 0.9


def test_new_images_of_one_folder_can_be_recognised_as_those_of_another() -> None:
    """No image is labelled 1, so its threshold is not known from images."""
    probabilities = np.array([[0.9, 0.1], [0.05, 0.95], [0.1, 0.9], [0.6, 0.4]])

    assert [1, 2] == find_label_errors(probabilities, np.array([0, 0, 0, 0])).examples.tolist()


def test_a_model_that_always_agrees_suspects_nothing() -> None:
    """Equal probabilities: their mean in other precision must not be above all of them, or below those of others."""
    probabilities = np.full((7, 2), (0.7, 0.3), np.float32)

    assert [] == find_label_errors(probabilities, np.zeros(7, int)).examples.tolist()


def test_no_image_is_no_suspicion() -> None:
    assert 0 == len(find_label_errors(np.empty((0, 3)), np.empty(0, int)).examples)
