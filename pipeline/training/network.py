"""The network and its training."""

import logging
from collections.abc import Callable
from typing import Any

from pipeline.spec import Image, Network, Training
from pipeline.training.preprocessing import decoded

log = logging.getLogger(__name__)

Images = list[tuple[bytes, int]]


def build(network: Network, image: Image, *, classes: int) -> Any:
    """A Keras model: pixels in [0, 1] (batch, height, width, channels) to probabilities (batch, classes)."""
    import keras

    layers: list[Any] = [keras.Input((image.height, image.width, image.channels))]
    for filters in network.filters:
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D(2, padding="same"))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(network.dense, activation="relu"),
        keras.layers.Dropout(network.dropout),
        keras.layers.Dense(classes, activation="softmax"),
    ]
    return keras.Sequential(layers)


def dataset(images: Images, image: Image, *, batch_size: int, shuffle_seed: int | None = None) -> Any:
    """Encoded images with class numbers as batches of pixels, decoded once by the very code that will be served."""
    import tensorflow as tf

    encoded, classes = zip(*images, strict=True)
    data = tf.data.Dataset.from_tensor_slices((list(encoded), list(classes)))
    data = data.map(lambda content, target: (decoded(content, image), target), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.cache()
    if shuffle_seed is not None:
        data = data.shuffle(len(images), seed=shuffle_seed)
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def train(
    training: Training,
    image: Image,
    *,
    classes: int,
    seed: int,
    train_images: Images,
    validation_images: Images,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Any:
    """Train a new network; `on_epoch(number, metrics)` is called after each epoch, the first being 1.

    Metrics are named `train/loss`, `train/accuracy`, `validation/loss` and `validation/accuracy`.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = build(training.network, image, classes=classes)
    model.compile(
        optimizer=keras.optimizers.Adam(training.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        dataset(train_images, image, batch_size=training.batch_size, shuffle_seed=seed),
        validation_data=dataset(validation_images, image, batch_size=training.batch_size)
        if validation_images
        else None,
        epochs=training.epochs,
        verbose=0,
        shuffle=False,  # the data set shuffles itself
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, _named(logs)))],
    )
    return model


def _named(logs: dict[str, float]) -> dict[str, float]:
    return {
        f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}": float(value)
        for name, value in logs.items()
    }
