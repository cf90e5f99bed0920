"""A program for the tests: load files of weights into networks. Prints what it saw as JSON.

Argument: a folder to write to.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from pipeline.errors import BadInputError
from pipeline.spec import Application, Image
from pipeline.training.networks.building import build
from pipeline.training.networks.weight_files import load_weights

IMAGE = Image(height=32, width=32)
NETWORK = Application(name="mobilenet_v3_small", weights="a file", sha256="0" * 64)
# Of the layers of older files, whose names Keras has changed since.
OLD_NAMES = {"DepthwiseConv2D": {"kernel": "depthwise_kernel"}}


def base(maker: Callable[..., Any] = keras.applications.MobileNetV3Small, *, top: bool = False) -> Any:
    return maker(include_top=top, weights=None, input_shape=(32, 32, 3))


def publish(model: Any, path: Path, change: Callable[[str], str] = lambda name: name, *, parts: int = 1) -> None:
    """Write weights as Keras publishes them: the layers in an attribute, or in several if their names are long."""
    with h5py.File(path, "w") as file:
        names = np.array([f"old/{layer.name}".encode() for layer in model.layers])
        for part, some in enumerate(np.array_split(names, parts)):
            file.attrs["layer_names" if parts == 1 else f"layer_names{part}"] = some
        for layer in model.layers:
            group = file.create_group(f"old/{layer.name}")
            weights = layer.trainable_weights + layer.non_trainable_weights
            old = OLD_NAMES.get(type(layer).__name__, {})
            paths = [f"{layer.name}/{change(old.get(each.name, each.name))}:0" for each in weights]
            group.attrs["weight_names"] = np.array([each.encode() for each in paths])
            for each, weight in zip(paths, weights, strict=True):
                group[each] = weight.numpy()


def is_loaded(expected: Any, path: Path, target: Any) -> bool:
    for weight in target.weights:
        weight.assign(weight * 0)
    load_weights(target, path, name=NETWORK.name)
    return are_equal(expected, target)


def are_equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one.get_weights(), other.get_weights(), strict=True))


def refused(path: Path, target: Any) -> str:
    try:
        load_weights(target, path, name=NETWORK.name)
    except BadInputError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    published = base()
    publish(published, folder / "notop.h5")
    publish(published, folder / "long.h5", parts=3)
    published.save_weights(folder / "base.weights.h5")
    whole = build(NETWORK, IMAGE, classes=7, weights=folder / "notop.h5").model
    whole.compile("adam", "sparse_categorical_crossentropy")
    whole.save_weights(folder / "whole.weights.h5")
    target = base()
    loaded = {name: is_loaded(published, folder / name, target) for name in ("notop.h5", "long.h5", "base.weights.h5")}
    # In a bucket a file may have any name.
    (folder / "base.weights.h5").rename(folder / "any name")
    loaded |= {name: is_loaded(published, folder / name, target) for name in ("any name", "whole.weights.h5")}

    publish(published, folder / "swapped.h5", lambda name: {"gamma": "beta", "beta": "gamma"}.get(name, name))
    top = base(top=True)
    publish(top, folder / "top.h5")
    large = base(keras.applications.MobileNetV3Large)
    publish(large, folder / "large.h5")
    large.save_weights(folder / "large.weights.h5")
    top.save_weights(folder / "top.weights.h5")
    content = (folder / "notop.h5").read_bytes()
    (folder / "short.h5").write_bytes(content[:-1000])
    (folder / "page.h5").write_text("<html>Sign in</html>")
    with h5py.File(folder / "empty.h5", "w"):
        pass
    bad = ["swapped.h5", "top.h5", "large.h5", "large.weights.h5", "top.weights.h5", "short.h5", "page.h5", "empty.h5"]
    messages = {name: refused(folder / name, target) for name in bad}
    unchanged = are_equal(published, target)
    print(json.dumps({"loaded": loaded, "refused": messages, "unchanged": unchanged}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
