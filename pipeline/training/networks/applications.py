"""The networks of `keras.applications`, each with its preprocessing below it and a new head above it."""

from pathlib import Path
from typing import Any

from pipeline.spec import Application, Image
from pipeline.training.networks.weight_files import load_weights

# How much of the statistics of batch normalisation is kept in each step, at most: Keras' own default.
_MOST_MOMENTUM = 0.99
# The mean of the blue, the green and the red channel of ImageNet, in [0, 255]: the mode `caffe` of Keras.
# K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, subtract the mean likewise.
_MEAN_OF_BLUE_GREEN_RED = (103.939, 116.779, 123.68)


def build(network: Application, image: Image, *, classes: int, weights: Path | None) -> tuple[Any, Any | None]:
    """The whole Keras model, and its base if that has pretrained weights; see `building.Built`.

    A base with pretrained weights always runs in inference mode: batch normalisation uses the statistics that came
    with the weights and does not change them, and dropout inside the base is off. One without them is trained as usual.

    Raises:
        BadInputError: the weights are not of this network.
    """
    import keras

    base = _base(network.name, image)
    if weights is not None:
        load_weights(base, weights, name=network.name)
    else:
        _let_statistics_follow(base)
    pixels = keras.Input((image.height, image.width, image.channels))
    prepared = _preprocessed(network.name, pixels)
    features = base(prepared) if weights is None else base(prepared, training=False)
    features = keras.layers.GlobalAveragePooling2D()(features)
    features = keras.layers.Dropout(network.dropout)(features)
    # Probabilities need the precision of 32 bits, whatever the layers below compute in.
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32")(features)
    return keras.Model(pixels, outputs), base if weights is not None else None


def _let_statistics_follow(base: Any) -> None:
    """Let batch normalisation learn its statistics from small data sets, too.

    MobileNetV3's forget a thousandth of the old ones in each step: after a whole training on a few thousand images they
    are still those that Keras begins with, and the network gives one answer for all images.
    """
    import keras

    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _MOST_MOMENTUM)


def _preprocessed(name: str, pixels: Any) -> Any:
    """What the base takes, from pixels in [0, 1]. In float32: 16 bits have too few digits for the mean.

    ResNet50 takes BGR in [0, 255] without the mean. The other ones take RGB in [0, 255]; they hold the rest of their
    preprocessing themselves.
    """
    import keras

    if name != "resnet50":
        return keras.layers.Rescaling(255.0, dtype="float32")(pixels)
    offset = [-mean for mean in _MEAN_OF_BLUE_GREEN_RED]
    return keras.layers.Rescaling(255.0, offset=offset, dtype="float32")(keras.ops.flip(pixels, axis=-1))


def _base(name: str, image: Image) -> Any:
    """The network without its top, with random weights."""
    from keras import applications

    makers = {
        "resnet50": applications.ResNet50,
        "efficientnet_v2_b0": applications.EfficientNetV2B0,
        "efficientnet_v2_b1": applications.EfficientNetV2B1,
        "efficientnet_v2_b2": applications.EfficientNetV2B2,
        "efficientnet_v2_b3": applications.EfficientNetV2B3,
        "efficientnet_v2_s": applications.EfficientNetV2S,
        "mobilenet_v3_small": applications.MobileNetV3Small,
        "mobilenet_v3_large": applications.MobileNetV3Large,
    }
    return makers[name](include_top=False, weights=None, input_shape=(image.height, image.width, image.channels))
