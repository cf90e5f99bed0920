"""A program for the tests: what the base of each network gets for an image. Prints what it saw as JSON.

Arguments: names of networks.
"""

import importlib
import json
import sys
from typing import Any

import keras
import numpy as np

from pipeline.spec import Application, Image
from pipeline.training.networks.building import build

MODULES = {"resnet50": "resnet", "mobilenet_v3": "mobilenet_v3", "efficientnet_v2": "efficientnet_v2"}
IMAGE = Image(height=33, width=40)
PIXELS = np.random.default_rng(1).uniform(size=(2, 33, 40, 3)).astype("float32")


def seen(name: str) -> dict[str, Any]:
    model = build(Application.model_validate({"name": name}), IMAGE, classes=3, weights=None).model
    (position,) = [index for index, layer in enumerate(model.layers) if isinstance(layer, keras.Model)]
    below = keras.Model(model.inputs, model.layers[position - 1].output)
    prepared = below(PIXELS)
    module = next(module for prefix, module in MODULES.items() if name.startswith(prefix))
    preprocess = importlib.import_module(f"keras.applications.{module}").preprocess_input
    return {
        "difference": float(np.abs(prepared - preprocess(255 * PIXELS)).max()),
        "range": [float(np.min(prepared)), float(np.max(prepared))],
        # Where the published preprocessing is a part of the network.
        "scales_itself": isinstance(model.layers[position].layers[1], keras.layers.Rescaling),
        "sums": np.asarray(model(PIXELS)).sum(axis=1).tolist(),
        "copied": float(np.abs(keras.Model.from_config(below.get_config())(PIXELS) - prepared).max()),
        "layers": [type(layer).__name__ for layer in model.layers],
    }


if __name__ == "__main__":
    print(json.dumps({name: seen(name) for name in sys.argv[1:]}))  # noqa: T201 - the test reads it
