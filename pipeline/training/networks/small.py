"""A small convolutional network."""

from typing import Any

from pipeline.spec import Image, SmallNetwork


def build(network: SmallNetwork, image: Image, *, classes: int) -> Any:
    """A Keras model as in `building.Built`: one 3x3 layer with pooling per entry of `filters`, then one dense layer."""
    import keras

    layers: list[Any] = [keras.Input((image.height, image.width, image.channels))]
    for filters in network.filters:
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D(2, padding="same"))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(network.dense, activation="relu"),
        keras.layers.Dropout(network.dropout),
        # Probabilities need the precision of 32 bits, whatever the layers below compute in.
        keras.layers.Dense(classes, activation="softmax", dtype="float32"),
    ]
    return keras.Sequential(layers)
