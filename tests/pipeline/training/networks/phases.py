"""A program for the tests: which weights change in which phase, and which order they have. Prints what it saw as JSON.

Argument: a folder to write to.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.spec import Application, Image, Network, OwnNetwork, SmallNetwork
from pipeline.training.networks.building import Built, build, freeze, unfreeze

IMAGE = Image(height=32, width=32)
MOBILE = Application(name="mobilenet_v3_small", weights="some.weights.h5")
RANDOM = np.random.default_rng(1)
PIXELS = RANDOM.uniform(size=(8, 32, 32, 3)).astype("float32")


def own(shape: tuple[int, ...], classes: int) -> Any:
    """A function of a user, who has never heard of mixed precision."""
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")]
    return keras.Sequential(layers)


def changed(built: Built) -> dict[str, Any]:
    """Train one step; which weights of the base, and how many of the head, are others then."""
    base = built.base or next(layer for layer in built.model.layers if isinstance(layer, keras.Model))
    ids = {id(weight) for weight in base.weights}
    before = {id(weight): weight.numpy() for weight in built.model.weights}
    built.model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", run_eagerly=True)
    built.model.train_on_batch(PIXELS, np.arange(8) % 3)
    others = [weight for weight in built.model.weights if not np.array_equal(before[id(weight)], weight.numpy())]
    inside = [weight for weight in others if id(weight) in ids]
    return {
        "head": len(others) - len(inside),
        "kinds": sorted({weight.name for weight in inside}),
        "layers": sorted({weight.path.split("/")[-2] for weight in inside}),
        "all": len(base.weights),
    }


def pretrained() -> Any:
    """A base whose statistics are those of the images. With those of a new one, hardly anything reaches its end."""
    base = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    base(255 * PIXELS, training=True)
    return base


def shapes(built: Built) -> list[list[int]]:
    return [list(variable.shape) for variable in built.model.variables]


def phases(weights: Path) -> dict[str, Any]:
    built = build(MOBILE, IMAGE, classes=3, weights=weights)
    order = [shapes(built)]
    freeze(built)
    head = changed(built)
    order.append(shapes(built))
    unfreeze(built, 12)
    last = changed(built)
    unfreeze(built, None)
    everything = changed(built)
    order += [shapes(built), shapes(build(MOBILE, IMAGE, classes=3, weights=None))]
    scratch = build(MOBILE, IMAGE, classes=3, weights=None)
    freeze(scratch)
    return {
        "head": head,
        "last": last,
        "last_layers": [layer.name for layer in built.base.layers[-12:]] if built.base else [],
        "everything": everything,
        "scratch": changed(scratch),
        "same_order": all(each == order[0] for each in order),
    }


def mixed(network: Network, weights: Path | None) -> dict[str, Any]:
    """A network that was built for 16 bits, and one in float32 that takes its variables."""
    keras.config.set_dtype_policy("mixed_float16")
    trained = build(network, IMAGE, classes=3, weights=weights).model
    keras.config.set_dtype_policy("float32")
    exported = build(network, IMAGE, classes=3, weights=None).model
    for variable, other in zip(exported.variables, trained.variables, strict=True):
        variable.assign(other)
    answers = trained(PIXELS, training=False), exported(PIXELS, training=False)
    return {
        "kinds": [answer.dtype.name for answer in answers],
        "between": [float(np.min(answers[1])), float(np.max(answers[1]))],
        "difference": float(np.abs(np.asarray(answers[0]) - np.asarray(answers[1])).max()),
        "half": any(layer.compute_dtype == "float16" for layer in trained.layers),
    }


def momenta(built: Built) -> list[float]:
    """How much of its statistics each batch normalisation keeps in a step."""
    (base,) = (layer for layer in built.model.layers if isinstance(layer, keras.Model))
    return [layer.momentum for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]


def main(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    pretrained().save_weights(folder / "base.weights.h5")
    networks: dict[str, Network] = {
        "application": MOBILE,
        "small": SmallNetwork(),
        "own": OwnNetwork(function=f"{own.__module__}:own"),
    }
    seen = phases(folder / "base.weights.h5")
    seen["momenta"] = momenta(build(Application(name="mobilenet_v3_small"), IMAGE, classes=3, weights=None))
    seen["mixed"] = {
        name: mixed(network, folder / "base.weights.h5" if network is MOBILE else None)
        for name, network in networks.items()
    }
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
