"""The network and its training."""

import logging
from collections.abc import Callable
from typing import Any

from pipeline.spec import Image, SmallNetwork, Training
from pipeline.training.exporting.preprocessing import decoded

log = logging.getLogger(__name__)

Images = list[tuple[bytes, int]]


def build(network: SmallNetwork, image: Image, *, classes: int) -> Any:
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
    """A tf.data.Dataset of batches: pixels (batch, height, width, channels) in [0, 1], class numbers (batch,).

    Each image is decoded once, by the code that is also served.

    Args:
        images: encoded images with their class numbers; at least one.
        image: the size and the channels to decode to.
        batch_size: images per batch; the last batch may be smaller.
        shuffle_seed: the seed of the order, which changes in each epoch; None for the given order.
    """
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
    """Train a new network; returns the Keras model after the last epoch.

    Args:
        training: epochs, batch size, learning rate and layers.
        image: the size and the channels of the input.
        classes: the number of outputs.
        seed: of the weights, of dropout and of the order of the images.
        train_images: encoded images with their class numbers.
        validation_images: likewise; may be empty.
        on_epoch: called after each epoch with its number, from 1, and its metrics: `train/loss`, `train/accuracy`,
            `validation/loss` and `validation/accuracy`.
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
        shuffle=False,  # the data set is shuffled in `dataset`
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, _named(logs)))],
    )
    return model


def _named(logs: dict[str, float]) -> dict[str, float]:
    return {
        f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}": float(value)
        for name, value in logs.items()
    }
