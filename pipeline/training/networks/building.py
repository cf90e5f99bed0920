"""Build the network that a model file describes, and freeze its parts for the phases of a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.spec import Application, Image, Network, OwnNetwork
from pipeline.training.networks import applications, own, small


@dataclass(frozen=True)
class Built:
    """A network.

    Attributes:
        model: a Keras model, from float32 pixels in [0, 1] of shape (batch, height, width, channels) to float32
            probabilities of shape (batch, classes), also under a policy of mixed precision.
        base: the part of it that has pretrained weights, a Keras model; None if it has no such part.
    """

    model: Any
    base: Any | None


def build(network: Network, image: Image, *, classes: int, weights: Path | None) -> Built:
    """Build a network. Two calls with the same arguments give variables of the same shapes in the same order.

    The order is that of `model.variables`. It depends neither on the policy of mixed precision, nor on what is frozen,
    nor on `weights`: a network that is built in float32 takes the variables of one that was trained in 16 bits.

    Args:
        network: which one.
        image: the size and the channels of the input.
        classes: the number of outputs.
        weights: the pretrained weights, see `weights.local_weights`; None: all weights are random.

    Raises:
        BadInputError: the weights are not of this network; a function of the user failed, or gave something else.
    """
    if isinstance(network, Application):
        return Built(*applications.build(network, image, classes=classes, weights=weights))
    if isinstance(network, OwnNetwork):
        return Built(own.build(network, image, classes=classes), None)
    return Built(small.build(network, image, classes=classes), None)


def freeze(built: Built) -> None:
    """The first phase: only the head is trained. Compile the model afterwards.

    Without pretrained weights nothing is frozen.
    """
    if built.base is not None:
        built.base.trainable = False


def unfreeze(built: Built, layers: int | None) -> None:
    """The second phase: layers of the base are trained too. Compile the model afterwards.

    Batch normalisation stays frozen, with all its weights: its statistics are those of many more images than a small
    data set has. Without pretrained weights everything is trained as before.

    Args:
        built: the network.
        layers: train so many layers at the end of the base, those without weights counted too; None: all of them.
    """
    import keras

    if built.base is None:
        return
    built.base.trainable = True
    first = 0 if layers is None else len(built.base.layers) - layers
    for position, layer in enumerate(built.base.layers):
        layer.trainable = position >= first and not isinstance(layer, keras.layers.BatchNormalization)
