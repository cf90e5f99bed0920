"""A program for the tests: integrated gradients of functions whose attributions are known. Prints JSON."""

import json
from typing import Any

import numpy as np
import tensorflow as tf  # noqa: TID253 - a program of its own

from pipeline.training.explaining.integrated_gradients import GAP_LIMIT, attributions, explain

SHAPE = (4, 3, 1)
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(SHAPE)
PIXELS = np.linspace(0, 1, 12, dtype=np.float32).reshape(SHAPE)
BASELINE = np.full(SHAPE, 0.5, np.float32)


def quadratic(images: Any) -> Any:
    """The sum of weight * pixel^2, and 0: the attributions of the first are weight * (pixel^2 - baseline^2)."""
    first = tf.reduce_sum(WEIGHTS * images**2, axis=(1, 2, 3))
    return tf.stack([first, tf.zeros_like(first)], axis=1)


def steep(images: Any) -> Any:
    """Jumps from 0 to 1 at one point of the line, so that few steps do not see where."""
    first = tf.sigmoid(3000 * (tf.reduce_mean(images, axis=(1, 2, 3)) - 0.234))
    return tf.stack([first, 1 - first], axis=1)


def refusal(**changed: Any) -> str:
    given: dict[str, Any] = {"predict": quadratic, "pixels": PIXELS, "class_index": 0} | changed
    try:
        explain(**given)
    except ValueError as error:
        return str(error)
    return ""


def largest_batch(pixels: Any) -> int:
    batches = []

    def counted(images: Any) -> Any:
        batches.append(len(images))
        first = tf.reduce_mean(images, axis=(1, 2, 3)) ** 2
        return tf.stack([first, 1 - first], axis=1)

    tf.config.run_functions_eagerly(True)
    explain(counted, pixels, 0)
    tf.config.run_functions_eagerly(False)
    return max(batches)


def main() -> None:
    exact = explain(quadratic, PIXELS, 0)
    from_grey = explain(quadratic, PIXELS, 0, baseline=BASELINE)
    doubled, too_few = explain(steep, PIXELS, 0), explain(steep, PIXELS, 0, most_steps=64)
    again = attributions(steep, PIXELS, 0, steps=doubled.steps)
    no_change = explain(lambda images: 0.0 * quadratic(images), PIXELS, 1)
    seen = {
        "exact": float(np.abs(exact.attributions - WEIGHTS * PIXELS**2).max()),
        "exact_gap": exact.gap,
        "exact_steps": exact.steps,
        "ends": [exact.baseline, exact.probability, float((WEIGHTS * PIXELS**2).sum())],
        "from_grey": float(np.abs(from_grey.attributions - WEIGHTS * (PIXELS**2 - BASELINE**2)).max()),
        "steep": [doubled.steps, doubled.gap, doubled.is_complete, GAP_LIMIT],
        "same_as_at_once": float(np.abs(again - doubled.attributions).max()),
        "too_few": [too_few.steps, too_few.gap, too_few.is_complete],
        "no_change": [no_change.gap, no_change.steps],
        "shapes": refusal(baseline=np.zeros((3, 4, 1), np.float32)),
        "class": refusal(class_index=2),
        "no_gradient": refusal(predict=lambda images: tf.zeros((tf.shape(images)[0], 2))),
        "largest_batch": [largest_batch(np.ones((224, 224, 3), np.float32)), largest_batch(PIXELS)],
    }
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
