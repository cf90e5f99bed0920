"""A program for the tests: networks that functions of users make. Prints what it saw as JSON.

Arguments: the folder of their modules, which is the working directory, and a module that is documented.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInputError
from pipeline.spec import Image, OwnNetwork
from pipeline.training.networks.building import build

IMAGE = Image(height=6, width=5, channels=1)
MODULE = """
import keras
from keras import layers


def good(shape, classes, width=4):
    pixels = keras.Input(shape)
    return keras.Model(pixels, layers.Dense(classes, "softmax")(layers.Dense(width)(layers.Flatten()(pixels))))


def any_size(shape, classes):
    pixels = keras.Input((None, None, shape[2]))
    return keras.Model(pixels, layers.Dense(classes, "softmax")(layers.GlobalMaxPooling2D()(pixels)))


def open_shape(shape, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(classes, "softmax")])


class Subclass(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes, "softmax")

    def call(self, pixels):
        return self.dense(self.flat(pixels))


def subclass(shape, classes):
    return Subclass(classes)


def sequential(shape, classes, activation="softmax", dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), layers.Flatten(), layers.Dense(classes, activation)])


def other_size(shape, classes):
    return sequential((32, 32, 3), classes)


def one_more(shape, classes):
    return sequential(shape, classes + 1)


def two_outputs(shape, classes):
    pixels = keras.Input(shape)
    flat = layers.Flatten()(pixels)
    return keras.Model(pixels, [layers.Dense(classes)(flat), layers.Dense(classes)(flat)])


def image_out(shape, classes):
    pixels = keras.Input(shape)
    return keras.Model(pixels, layers.Conv2D(classes, 1)(pixels))


def class_number(shape, classes):
    pixels = keras.Input(shape)
    return keras.Model(pixels, keras.ops.cast(layers.Dense(classes)(layers.Flatten()(pixels)), "int32"))


def dictionary(shape, classes):
    return {"model": sequential(shape, classes)}


def fails(shape, classes):
    raise ValueError(f"no network for {classes} labels\\nand a second line")


def ends(shape, classes):
    raise SystemExit("the end")


class Broken(keras.Model):
    def call(self, pixels):
        raise RuntimeError("not written yet")


def broken(shape, classes):
    return Broken()


def no_options(shape, classes):
    return sequential(shape, classes)


def one_argument(classes):
    return sequential((6, 5, 1), classes)


number = 3
"""
GOOD = {"good": {"width": 3}, "any_size": {}, "open_shape": {}, "subclass": {}, "sequential": {}}
BAD: dict[str, dict[str, Any]] = {
    "sequential": {"activation": "linear"},
    "good": {"depth": 2},
    "no_options": {"width": 2},
    **{
        name: {}
        for name in [
            "other_size",
            "one_more",
            "two_outputs",
            "image_out",
            "class_number",
            "dictionary",
            "fails",
            "ends",
            "broken",
            "one_argument",
            "number",
            "absent",
        ]
    },
}


def made(function: str, options: dict[str, Any]) -> dict[str, Any]:
    network = OwnNetwork(function=function, options=options)
    models = [build(network, IMAGE, classes=3, weights=None).model for _ in range(2)]
    return {
        "input": list(models[0].input_shape),
        "output": list(models[0].output_shape),
        "sum": float(np.asarray(models[0](np.ones((1, 6, 5, 1), "float32"))).sum()),
        "shapes": [[list(variable.shape) for variable in model.variables] for model in models],
    }


def refused(function: str, options: dict[str, Any]) -> str:
    try:
        build(OwnNetwork(function=function, options=options), IMAGE, classes=3, weights=None)
    except BadInputError as error:
        return str(error)
    return ""


def main(folder: Path, documented: str) -> None:
    os.chdir(folder)
    (folder / "users").mkdir()
    (folder / "users" / "nets.py").write_text(MODULE)
    (folder / "my_networks.py").write_text(documented)
    (folder / "wrong_syntax.py").write_text("def build(shape, classes:\n")
    (folder / "wrong_import.py").write_text("import no_such_package\n")
    bad = {name: refused(f"users.nets:{name}", options) for name, options in BAD.items()}
    bad |= {name: refused(f"{name}:build", {}) for name in ("nowhere", "users.nowhere", "wrong_syntax", "wrong_import")}
    wrong_kind = refused("users.nets:sequential", {"dtype": "uint8"})
    good = {name: made(f"users.nets:{name}", options) for name, options in GOOD.items()}
    good["documented"] = made("my_networks:build", {"width": 2})
    print(json.dumps({"good": good, "bad": bad, "wrong_kind": wrong_kind}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
