"""Compare a Keras model of the user with what a network must be."""

from typing import Any

import numpy as np

from pipeline.errors import BadInputError
from pipeline.spec import Image

# How far the sum of probabilities may be from 1: softmax in 16 bits.
_TOLERANCE = 0.02


def checked(model: Any, image: Image, *, classes: int, source: str) -> Any:
    """The model, with its shapes fixed, and with outputs in float32 if it computes in 16 bits.

    Args:
        model: what should be a Keras model from float32 pixels in [0, 1] of shape (batch, height, width, channels) to
            float32 probabilities of shape (batch, classes).
        image: the size and the channels of the input.
        classes: the number of outputs.
        source: where the model comes from, for messages.

    Raises:
        BadInputError: it is something else; what the model itself raises leaves as it is.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise BadInputError(f"{source} must return a Keras model; it returned a {type(model).__name__}")
    shape = (image.height, image.width, image.channels)
    pixels = keras.Input(shape)
    _check_inputs(model, shape, source)
    outputs = model(pixels)
    _check_outputs(outputs, classes, source)
    if outputs.dtype != "float32":
        outputs = keras.layers.Activation("linear", dtype="float32")(outputs)
    whole = keras.Model(pixels, outputs)
    _check_answers(whole, shape, source)
    return whole


def _check_inputs(model: Any, shape: tuple[int, ...], source: str) -> None:
    """The inputs of a model that has declared them. Any other one finds out when it is called."""
    inputs = getattr(model, "inputs", None) if model.built else None
    if not inputs:
        return
    expected = f"one input of shape (None, {', '.join(map(str, shape))}) in float32"
    found = ", ".join(f"{tuple(each.shape)} in {each.dtype}" for each in inputs)
    fits = len(inputs) == 1 and inputs[0].dtype == "float32" and _fits(inputs[0].shape, (None, *shape))
    if not fits:
        raise BadInputError(f"{source} must return a model with {expected}; it has {found}")


def _fits(found: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(one in (None, other) for one, other in zip(found, expected, strict=True))


def _check_outputs(outputs: Any, classes: int, source: str) -> None:
    import keras

    # Under a policy of mixed precision, layers compute in 16 bits unless they are told otherwise.
    usable = {"float32", keras.config.dtype_policy().compute_dtype}
    shape = getattr(outputs, "shape", None)
    if shape is None or tuple(shape) != (None, classes) or outputs.dtype not in usable:
        found = f"a {type(outputs).__name__}" if shape is None else f"{tuple(shape)} in {outputs.dtype}"
        raise BadInputError(
            f"{source} must return a model with one output of shape (None, {classes}) in float32, the probabilities of "
            f"the {classes} labels; it has {found}"
        )


def _check_answers(model: Any, shape: tuple[int, ...], source: str) -> None:
    """One answer must be probabilities: with logits, training would not fail, and its figures would be wrong."""
    ramp = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)
    answer = np.asarray(model(ramp, training=False))[0]
    if not (np.all(answer >= 0) and abs(float(answer.sum()) - 1) < _TOLERANCE):
        raise BadInputError(
            f"{source} must return a model whose outputs are probabilities; its outputs for one image are between "
            f"{answer.min():.3g} and {answer.max():.3g} with the sum {answer.sum():.3g}. End it with a softmax"
        )
