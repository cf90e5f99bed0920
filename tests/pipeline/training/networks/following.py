"""A program for the tests: whether the statistics of batch normalisation follow a short training. Prints JSON."""

import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.spec import Application, Image
from pipeline.training.networks.building import build

IMAGE = Image(height=32, width=32)
STEPS = 700
BATCH = 8
# What Keras gives MobileNetV3.
OF_KERAS = 0.999


def batches() -> Iterator[tuple[Any, Any]]:
    """Dark images of class 0 and bright ones of class 1."""
    random = np.random.default_rng(1)
    classes = np.arange(BATCH) % 2
    for _ in range(STEPS):
        noise = random.uniform(0, 0.4, (BATCH, IMAGE.height, IMAGE.width, IMAGE.channels))
        yield (noise + 0.6 * classes[:, None, None, None]).astype("float32"), classes


def answers(momentum: float | None) -> dict[str, list[float]]:
    """The probabilities of class 1 for images of both classes after a training, in both modes."""
    keras.utils.set_random_seed(1)
    model = build(Application(name="mobilenet_v3_small"), IMAGE, classes=2, weights=None).model
    (base,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    for layer in base.layers:
        if momentum and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    data = tf.data.Dataset.from_generator(
        batches,
        output_signature=(
            tf.TensorSpec((BATCH, IMAGE.height, IMAGE.width, IMAGE.channels)),
            tf.TensorSpec((BATCH,), tf.int32),
        ),
    )
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", steps_per_execution=50)
    model.fit(data.repeat(), steps_per_epoch=STEPS, verbose=0, shuffle=False)
    pixels, _ = next(batches())
    return {
        mode: np.asarray(model(pixels, training=training))[:, 1].tolist()
        for mode, training in (("training", True), ("inference", False))
    }


if __name__ == "__main__":
    # The network is so small that threads would wait for each other.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(json.dumps({"ours": answers(None), "of_keras": answers(OF_KERAS)}))  # noqa: T201 - the test reads it
