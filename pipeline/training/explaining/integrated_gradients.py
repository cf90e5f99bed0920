"""Integrated gradients: how much each pixel of an image has added to the probability of a class.

M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017. On the straight line from a
baseline image to the image, the gradient of the probability is averaged, and multiplied by the difference of the two
images. The sum over all pixels is then the difference of the two probabilities (completeness). How far it is off is the
error of the numerical integration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The paper finds that 20 to 300 steps reach 5 %.
FEWEST_STEPS = 32
MOST_STEPS = 1024
GAP_LIMIT = 0.02
# The gap is relative to the difference of the probabilities, or to this one if that is smaller: where the network finds
# the image as likely as the baseline, the difference itself is nothing to be relative to.
_LEAST_DIFFERENCE = 0.01
# How much is differentiated at once. What a network keeps for its gradients is many times its input, so this bounds the
# memory: 6 images of 224 x 224 x 3.
_VALUES_AT_ONCE = 2**20
_IMAGES_AT_ONCE = 64

Pixels = NDArray[np.float32]
Sums = NDArray[np.float64]
# A TensorFlow function: float32 (batch, height, width, channels) to probabilities (batch, classes).
Predict = Callable[[Any], Any]


@dataclass(frozen=True)
class Explained:
    """What each value of an image has added to the probability of a class, in comparison with a baseline.

    Attributes:
        attributions: of the shape of the image, (height, width, channels); their sum is about the difference of the
            two probabilities.
        probability: of the class, for the image.
        baseline: of the class, for the baseline.
        steps: into how many parts the line was divided.
    """

    attributions: Sums
    probability: float
    baseline: float
    steps: int

    @property
    def gap(self) -> float:
        """How far the sum is from the difference of the probabilities, in relation to that: 0 is exact, 0.01 is 1 %."""
        difference = self.probability - self.baseline
        missing = abs(float(self.attributions.sum()) - difference)
        return missing / max(abs(difference), _LEAST_DIFFERENCE)

    @property
    def is_complete(self) -> bool:
        """Whether the gap is at most `GAP_LIMIT`."""
        return self.gap <= GAP_LIMIT


def explain(
    predict: Predict,
    pixels: Pixels,
    class_index: int,
    *,
    baseline: Pixels | None = None,
    most_steps: int = MOST_STEPS,
) -> Explained:
    """The attributions with as many steps as completeness needs: they double until the gap is within `GAP_LIMIT`.

    Points are used again when the steps double, so the work is that of the last number of steps alone.

    Args:
        predict: the network. The answer for an image must not depend on others of its batch, as is so where batch
            normalisation is frozen.
        pixels: (height, width, channels), as the network takes them.
        class_index: counted from 0.
        baseline: of the same shape; None: black.
        most_steps: of them a larger gap is accepted, see `Explained.is_complete`.

    Raises:
        ValueError: the shapes differ, there is no such class, or the network has no gradient.
    """
    line = _Line(predict, pixels, class_index, baseline=baseline)
    steps = min(FEWEST_STEPS, most_steps)
    total = line.total(steps)
    while True:
        found = Explained(line.difference * (total / steps), line.probability, line.probability_at_start, steps)
        if found.is_complete or 2 * steps > most_steps:
            return found
        total += line.gradients_at((np.arange(steps) + 0.5) / steps)
        steps *= 2


def attributions(
    predict: Predict,
    pixels: Pixels,
    class_index: int,
    *,
    steps: int,
    baseline: Pixels | None = None,
) -> Sums:
    """The attributions with this number of steps, at least 1; shapes, arguments and errors are those of `explain`."""
    line = _Line(predict, pixels, class_index, baseline=baseline)
    return line.difference * (line.total(steps) / steps)


class _Line:
    """The straight line from the baseline to the image, and the gradients of one probability on it."""

    def __init__(self, predict: Predict, pixels: Pixels, class_index: int, *, baseline: Pixels | None) -> None:
        start = np.zeros_like(pixels) if baseline is None else baseline
        if start.shape != pixels.shape:
            raise ValueError(f"the baseline has the shape {start.shape}, and the image {pixels.shape}")
        self._start = start.astype(np.float32)
        self.difference = pixels.astype(np.float32) - self._start
        self._class_index = class_index
        self._gradients = _gradient_function(predict, pixels.shape)
        ends = np.asarray(predict(self._images(np.array([0.0, 1.0]))))
        if not 0 <= class_index < ends.shape[1]:
            raise ValueError(f"class {class_index} does not exist: the network knows {ends.shape[1]}, counted from 0")
        self.probability_at_start, self.probability = (float(end) for end in ends[:, class_index])
        self._at_once = max(1, min(_IMAGES_AT_ONCE, _VALUES_AT_ONCE // max(1, pixels.size)))

    def total(self, steps: int) -> Sums:
        """By the trapezoidal rule, `steps` times the mean gradient: both ends of the line count half."""
        ends = 0.5 * self.gradients_at(np.array([0.0, 1.0]))
        return ends + self.gradients_at(np.arange(1, steps) / steps)

    def gradients_at(self, shares: NDArray[np.float64]) -> Sums:
        """The sum of the gradients at points of the line, given by their share of it."""
        total = np.zeros(self.difference.shape)
        for start in range(0, len(shares), self._at_once):
            images = self._images(shares[start : start + self._at_once])
            total += np.asarray(self._gradients(images, self._class_index), np.float64).sum(axis=0)
        return total

    def _images(self, shares: NDArray[np.float64]) -> Any:
        import tensorflow as tf

        scale = shares.astype(np.float32).reshape(-1, 1, 1, 1)
        return tf.constant(self._start + scale * self.difference)


# Tracing takes as long as many steps. The last network is kept, for the next image.
@lru_cache(maxsize=1)
def _gradient_function(predict: Predict, shape: tuple[int, ...]) -> Callable[[Any, int], Any]:
    """Images and a class to the gradient of its probability, for each image its own."""
    import tensorflow as tf

    any_batch = tf.TensorSpec((None, *shape), tf.float32)

    # Without autograph an error keeps its own words.
    @tf.function(input_signature=[any_batch, tf.TensorSpec((), tf.int32)], autograph=False)  # type: ignore[untyped-decorator]
    def gradients(images: Any, class_index: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            probability = predict(images)[:, class_index]
        try:
            found = tape.gradient(probability, images)
        except LookupError as error:
            raise ValueError(f"an operation of the network has no gradient ({error})") from error
        if found is None:
            raise ValueError("the network has no gradient with respect to its input")
        return found

    return lambda images, class_index: gradients(images, tf.constant(class_index)).numpy()
