"""A program for the tests: begin with the weights of an exported version. Prints what it saw as JSON.

Argument: a folder to write to.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image as Picture

from pipeline.spec import Image, Network, OwnNetwork, SmallNetwork
from pipeline.training.exporting.export import export
from pipeline.training.networks.building import build
from pipeline.training.networks.warm_start import warm_start

IMAGE = Image(height=6, width=5, channels=1)
SMALL = SmallNetwork(filters=(2,), dense=4)
OLD = ("ant", "bee", "cat")
PIXELS = np.random.default_rng(1).uniform(size=(4, 6, 5, 1)).astype("float32")


def headless(shape: tuple[int, ...], classes: int) -> Any:
    """A network that does not end with a dense layer."""
    pixels = keras.Input(shape)
    features = keras.layers.Conv2D(classes, 3, use_bias=False)(pixels)
    return keras.Model(pixels, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(features)))


def exported(folder: Path, network: Network) -> tuple[Any, Path]:
    model = build(network, IMAGE, classes=len(OLD), weights=None).model
    stream = io.BytesIO()
    Picture.new("L", (5, 6)).save(stream, "PNG")
    export(model, folder, name="insects", image=IMAGE, labels=OLD, warmup=[stream.getvalue()])
    return model, folder


def started(folder: Path, network: Network, *, labels: tuple[str, ...], old: tuple[str, ...] = OLD) -> dict[str, Any]:
    model = build(network, IMAGE, classes=len(labels), weights=None).model
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    sentence = warm_start(model, folder, labels=labels, old_labels=old)
    after = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    changed = [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    generators = [index for index, variable in enumerate(model.variables) if "seed" in variable.path]
    return {
        "sentence": sentence,
        "changed": any(changed),
        "generators": [changed[index] for index in generators],
        "answers": np.asarray(model(PIXELS, training=False)).tolist(),
        "kernel": after[-2:][0].tolist(),
        "random": before[-2:][0].tolist(),
    }


def main(folder: Path) -> None:
    model, version = exported(folder / "version", SMALL)
    own = OwnNetwork(function=f"{headless.__module__}:headless")
    _, other_head = exported(folder / "headless", own)
    tf.saved_model.save(tf.Module(), str(folder / "foreign"))
    (folder / "empty").mkdir()
    seen = {
        "answers": np.asarray(model(PIXELS, training=False)).tolist(),
        "kernel": model.variables[-2].numpy().tolist(),
        "same": started(version, SMALL, labels=OLD),
        "labels": started(version, SMALL, labels=("bee", "dog", "ant", "cat")),
        "order": started(version, SMALL, labels=("cat", "bee", "ant")),
        "deeper": started(version, SmallNetwork(filters=(2, 2), dense=4), labels=OLD),
        "wider": started(version, SmallNetwork(filters=(2,), dense=5), labels=("ant", "bee")),
        "headless": started(other_head, own, labels=OLD),
        "headless with other labels": started(other_head, own, labels=("ant", "bee")),
        "foreign": started(folder / "foreign", SMALL, labels=OLD),
        "empty": started(folder / "empty", SMALL, labels=OLD),
    }
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
