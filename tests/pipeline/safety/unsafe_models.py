"""Run as a program: `unsafe_models.py DIRECTORY FILE` writes SavedModels that keep the promise to clients.

`own` is what the pipeline exports and `mobilenet` the same with a larger network. In the others the same signature
also does what their names say; those that write name FILE.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.spec import Image, SmallNetwork
from pipeline.training.exporting import export
from pipeline.training.networks.building import build as build_network
from serving import signature
from serving.signature import CLASS_INDEX, INPUT, LABEL, PROBABILITIES

LABELS = ("dark", "light")
SIZES = {"own": 6, "mobilenet": 32}
# By type: values of which some are not finite, and how many.
BAD: dict[str, tuple[list[Any], int]] = {
    "float16": ([1, np.nan, -np.inf], 2),
    "bfloat16": ([np.nan, 2], 1),
    "float32": ([np.inf] * 3, 3),
    "float64": ([0, -np.inf], 1),
    "complex64": ([1, complex(0, np.nan)], 1),
    "complex128": ([complex(np.inf, 0)], 1),
}


def promised(tf: Any, folder: Path, besides: Callable[[Any, Any], Any] | None = None, **kept: Any) -> None:
    """A model of the promised signature; `besides` is called with it and the images, and its effects are kept."""
    module = tf.Module()
    module.weights = tf.Variable(np.ones([1, len(LABELS)], np.float32), name="weights")
    module.labels = tf.constant(LABELS)
    for name, value in kept.items():
        setattr(module, name, value)

    def serve(images: Any) -> dict[str, Any]:
        if besides is not None:
            done = besides(module, images)
            with tf.control_dependencies([done]):
                images = tf.identity(images)
        lengths = tf.strings.length(images)[:, None]
        probabilities = tf.nn.softmax(tf.cast(lengths, tf.float32) @ module.weights)
        index = tf.argmax(probabilities, axis=-1)
        return {
            PROBABILITIES: probabilities,
            CLASS_INDEX: index,
            LABEL: tf.gather(module.labels, index),
        }

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    tf.saved_model.save(module, str(folder), signatures={signature.NAME: module.serve})


def table(tf: Any, file: Path) -> Any:
    line = tf.lookup.TextFileIndex
    lines = tf.lookup.TextFileInitializer(str(file), tf.int64, line.LINE_NUMBER, tf.string, line.WHOLE_LINE)
    return tf.lookup.StaticHashTable(lines, "?")


def main(root: Path, written: Path) -> None:
    import tensorflow as tf

    small = SmallNetwork(filters=(2,), dense=4)
    networks: dict[str, Callable[[Image], Any]] = {
        "own": lambda image: build_network(small, image, classes=len(LABELS), weights=None).model,
        "mobilenet": lambda image: tf.keras.applications.MobileNet(
            (image.height, image.width, image.channels), alpha=0.25, weights=None, classes=len(LABELS)
        ),
    }
    for name, build in networks.items():
        image = Image(height=SIZES[name], width=SIZES[name], channels=3)
        export.export(build(image), root / name, name=name, image=image, labels=LABELS, warmup=[b"never read"])
    promised(tf, root / "plain")
    promised(tf, root / "writes", lambda _, images: tf.io.write_file(str(written), images[0]))
    promised(tf, root / "prints", lambda _, images: tf.print(images, output_stream=f"file://{written}"))
    promised(tf, root / "prints_to_the_log", lambda _, images: tf.print(images))
    promised(tf, root / "python", lambda _, images: tf.py_function(lambda each: each, [images], tf.string))
    promised(tf, root / "reads_dataset", lambda _, images: next(iter(tf.data.TextLineDataset(images))))
    promised(
        tf,
        root / "restores",
        lambda _, images: tf.raw_ops.RestoreV2(
            prefix=images[0], tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0],
    )
    deep = tf.function(tf.io.read_file)
    promised(
        tf,
        root / "in_a_branch",
        lambda _, images: tf.cond(tf.size(images) > 100, lambda: deep(images[0]), lambda: images[0]),
    )
    words = root / "words.txt"
    words.write_text("zero\none\n")
    promised(
        tf,
        root / "table",
        lambda module, images: module.table.lookup(tf.zeros_like(images, tf.int64)),
        table=table(tf, words),
    )
    bad = {
        f"bad_{kind}": tf.Variable(np.array(values).astype(kind) if kind != "bfloat16" else tf.cast(values, kind))
        for kind, (values, _) in BAD.items()
    }
    fine = {"whole": tf.Variable([1, 2]), "word": tf.Variable("nan"), "empty": tf.Variable(np.zeros([0], np.float32))}
    promised(tf, root / "not_finite", **bad, **fine)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
