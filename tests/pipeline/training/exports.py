"""A program for the tests: export networks and import others, and run them as a server does. Prints JSON.

    python -m tests.pipeline.training.exports FOLDER

`FOLDER/1` is an export that a server can load.
"""

import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnderstudyError
from pipeline.safety import scan
from pipeline.spec import Image, Imported
from pipeline.storage.sums import folder_digest, sum_of_file, sums_of
from pipeline.training.exporting.equality import require_equal
from pipeline.training.exporting.export import export
from pipeline.training.exporting.importing import Scan, import_model
from pipeline.training.preprocessing import decoded
from pipeline.training.scoring.exported_model import BATCH, ExportedModel
from tests.pictures import encoded, photograph

NAME = "pets"
LABELS = ("cat", "dog", "owl")
# The order in which the imported networks know them.
OTHER_ORDER = ("owl", "cat", "dog")
IMAGE = Image(height=12, width=10, channels=3)
SHAPE = (12, 10, 3)
BATCHES = (1, 8, 64)


def network(
    *,
    activation: str | None = "softmax",
    shape: tuple[int | None, ...] = SHAPE,
    classes: int = 3,
    flip: bool = True,
    white: float = 1,
) -> Any:
    """Its outputs differ from image to image, so that a wrong preprocessing is seen."""
    import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    large = keras.initializers.RandomNormal(stddev=2 / white)
    return keras.Sequential(
        [
            keras.Input(shape),
            *([layers.RandomFlip()] if flip else []),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(classes, activation=activation, kernel_initializer=large),
        ]
    )


def pictures(count: int = 64) -> list[bytes]:
    return [encoded(photograph((20, 16), seed=seed), "PNG") for seed in range(count)]


def pixels_of(images: Sequence[bytes]) -> NDArray[np.float32]:
    return np.stack([decoded(content, IMAGE).numpy() for content in images])


def own_function(*inputs: Any) -> Any:
    return inputs[0]


def spec(path: Path, **fields: Any) -> Imported:
    digest = folder_digest(sums_of(path)) if path.is_dir() else sum_of_file(path).sha256 if path.exists() else None
    return Imported.model_validate({"model": str(path), "sha256": digest, "labels": LABELS, **fields})


def wrapped(
    imported: Imported, folder: Path, images: Sequence[bytes], *, before: Scan = scan.operation_problems
) -> float:
    return import_model(
        imported,
        folder,
        name=NAME,
        image=IMAGE,
        labels=LABELS,
        warmup=images[:2],
        compared=images,
        seconds=1.0,
        scan=before,
    )


def message(action: Callable[[], object]) -> list[str]:
    """The kind of the error, and its text."""
    try:
        action()
    except UnderstudyError as error:
        return [type(error).__name__, str(error)]
    return []


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Counted(bytes):
    """A content that is counted as long as it is in memory."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __new__(cls, content: bytes) -> "Counted":
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)
        return super().__new__(cls, content)

    def __del__(self) -> None:
        Counted.alive -= 1


def held_at_once(model: ExportedModel, content: bytes, batches: int = 15) -> int:
    """How many images are in memory at most while many are evaluated."""

    def images() -> Iterator[list[bytes]]:
        for _ in range(batches):
            yield [Counted(content) for _ in range(BATCH)]

    model.predict(images(), np.zeros(batches * BATCH, np.int32), LABELS)
    return Counted.most


def equality(folder: Path, images: Sequence[bytes]) -> dict[str, Any]:
    import keras

    trained = network()
    export(trained, folder / "1", name=NAME, image=IMAGE, labels=LABELS, warmup=images[:3])
    seen: dict[str, Any] = {
        "difference": require_equal(trained, folder / "1", images, image=IMAGE),
        "difference_of_few": require_equal(trained, folder / "1", images[:3], image=IMAGE),
        "scan": scan.problems(folder / "1", labels=LABELS, server_tensorflow="2.21"),
        "held_at_once": held_at_once(ExportedModel(folder / "1"), images[0]),
        "expected": trained(pixels_of(images[:2]), training=False).numpy().tolist(),
        "pixels": pixels_of(images[:2]).tolist(),
    }
    kernel = trained.trainable_variables[0]
    kernel.assign(kernel + 0.05)
    seen["other weights"] = message(lambda: require_equal(trained, folder / "1", images, image=IMAGE))

    class OfTheBatch(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)

    dependent = keras.Sequential([*network().layers[:-1], OfTheBatch(), keras.layers.Dense(3, activation="softmax")])
    dependent(np.zeros((1, *SHAPE), np.float32))
    export(dependent, folder / "dependent", name=NAME, image=IMAGE, labels=LABELS, warmup=images[:1])
    seen["depends on the batch"] = message(lambda: require_equal(dependent, folder / "dependent", images, image=IMAGE))
    trained.trainable_variables[-1].assign([np.nan] * 3)
    export(trained, folder / "no numbers", name=NAME, image=IMAGE, labels=LABELS, warmup=images[:1])
    seen["no numbers"] = message(lambda: require_equal(trained, folder / "no numbers", images, image=IMAGE))
    return seen


def imports(folder: Path, images: Sequence[bytes]) -> dict[str, Any]:
    """By kind of network: the largest difference to the original, and what the scan says."""
    pixels = pixels_of(images)
    order = [OTHER_ORDER.index(label) for label in LABELS]
    probable, logits, free = network(), network(activation=None, white=255), network(shape=(None, None, 3))
    # With a loss of its own, which is not needed to answer.
    probable.compile(loss=own_function)
    probable.save(folder / "probable.keras")
    logits.save(folder / "logits.keras")
    free.save(folder / "free.keras")
    # As Keras exports it, a layer for augmentation changes the images that are served too.
    plain = network(activation=None, flip=False)
    plain.export(folder / "exported", verbose=False)
    logits.export(folder / "flips", verbose=False)
    cases: dict[str, tuple[Imported, NDArray[np.float32]]] = {
        "a .keras file": (spec(folder / "probable.keras"), probable(pixels, training=False).numpy()),
        "a .keras file for images of any size": (spec(folder / "free.keras"), free(pixels, training=False).numpy()),
        "logits of 0 to 255, other order": (
            spec(folder / "logits.keras", pixels="0..255", outputs="logits", labels=OTHER_ORDER),
            softmax(logits(pixels * 255, training=False).numpy())[:, order],
        ),
        "a SavedModel, -1 to 1": (
            spec(folder / "exported", pixels="-1..1", outputs="logits"),
            softmax(plain(pixels * 2 - 1, training=False).numpy()),
        ),
        "a SavedModel with a table": (spec(with_table(folder / "table")), np.eye(3, dtype=np.float32)[[1] * 64]),
    }
    return {
        name: imported_as(imported, expected, folder / f"of {name}", images)
        for name, (imported, expected) in cases.items()
    }


def with_table(folder: Path) -> Path:
    """A SavedModel whose answer comes from a table, which is no variable: always class 1."""
    import tensorflow as tf

    words = folder.with_suffix(".txt")
    words.write_text("first\nsecond\n")
    module = tf.Module()
    line = tf.lookup.TextFileIndex
    reader = tf.lookup.TextFileInitializer(str(words), tf.string, line.WHOLE_LINE, tf.int64, line.LINE_NUMBER)
    module.table = tf.lookup.StaticHashTable(reader, -1)

    def serve(pixels: Any) -> dict[str, Any]:
        number = module.table.lookup(tf.fill([tf.shape(pixels)[0]], "second"))
        return {"scores": tf.one_hot(number, 3)}

    signature = tf.function(serve, input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    return folder


def imported_as(
    imported: Imported, expected: NDArray[np.float32], folder: Path, images: Sequence[bytes]
) -> dict[str, Any]:
    wrapped(imported, folder, images)
    model = ExportedModel(folder)
    differences = {}
    for size in BATCHES:
        parts = [model.probabilities(images[start : start + size]) for start in range(0, len(images), size)]
        differences[str(size)] = float(np.abs(np.concatenate(parts) - expected).max())
    return {
        "differences": differences,
        "varies": float(np.ptp(expected, axis=0).max()),
        "scan": scan.problems(folder, labels=LABELS, server_tensorflow="2.21"),
    }


def refusals(folder: Path, images: Sequence[bytes]) -> dict[str, list[str]]:
    """By what is wrong: the error."""
    (folder / "text.keras").write_text("no model")
    (folder / "empty").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "saved_model.pb").write_bytes(b"\xff" * 20)
    good = folder / "probable.keras"
    cases = {
        "no file": spec(folder / "none.keras"),
        "no folder": spec(folder / "none"),
        "a file that is no .keras": spec(folder / "table.txt"),
        "no digest": spec(good, sha256=None),
        "another digest": spec(good, sha256="0" * 64),
        "no model": spec(folder / "text.keras"),
        **{name: spec(path) for name, path in damaged_keras_files(folder).items()},
        "no saved_model.pb": spec(folder / "empty"),
        "a damaged SavedModel": spec(folder / "damaged"),
        "other labels": spec(good, labels=("cat", "fox", "owl")),
        "logits": spec(folder / "logits.keras"),
        "no logits": spec(good, outputs="logits"),
        "depends on chance": spec(folder / "flips", outputs="logits"),
        "no signature": spec(folder / "exported", signature="pixels"),
        **{name: spec(path) for name, path in (wrong_keras_files(folder) | wrong_saved_models(folder)).items()},
    }
    found = {
        name: message(partial(wrapped, imported, folder / f"out {name}", images)) for name, imported in cases.items()
    }
    found["written"] = [each.name for each in folder.glob("written.txt")]
    not_scanned = folder / "not scanned before"
    wrapped(cases["writes files"], not_scanned, images[:1], before=lambda _: [])
    return found | {"not scanned before": scan.problems(not_scanned, labels=LABELS, server_tensorflow="2.21")}


def damaged_keras_files(folder: Path) -> dict[str, Path]:
    """Archives whose description cannot be read."""
    contents = {
        "a member that does not unpack": b"x" * 1000,
        "a description without an end": b"[" * 100_000,
        "a description of 60 MB": b" " * 60_000_000,
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.keras"
        with zipfile.ZipFile(paths[name], "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", content)
    damaged = paths["a member that does not unpack"]
    changed = bytearray(damaged.read_bytes())
    changed[45:50] = b"\xff" * 5  # behind the header of the member, which has 41 bytes
    damaged.write_bytes(changed)
    return paths


def wrong_keras_files(folder: Path) -> dict[str, Path]:
    import keras

    class OwnLayer(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    def with_layer(layer: Any) -> Any:
        ends = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
        return keras.Sequential([keras.Input(SHAPE), layer, *ends])

    one, other = keras.Input(SHAPE, name="one"), keras.Input(SHAPE, name="other")
    flat = keras.layers.Flatten()(one)
    models = {
        "Lambda": with_layer(keras.layers.Lambda(lambda each: each)),
        "own layer": with_layer(OwnLayer()),
        "own function": with_layer(keras.layers.Activation(own_function)),
        "another size": network(shape=(11, 10, 3)),
        "grey": network(shape=(12, 10, 1)),
        "two classes": network(classes=2),
        "two inputs": keras.Model([one, other], keras.layers.Dense(3)(keras.layers.Flatten()(one + other))),
        "two outputs": keras.Model(one, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)]),
    }
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    return {name: folder / f"{name}.keras" for name in models}


def wrong_saved_models(folder: Path) -> dict[str, Path]:
    import tensorflow as tf

    def mean(pixels: Any) -> Any:
        return {"scores": tf.nn.softmax(tf.reduce_mean(pixels, axis=[1, 2]))}

    def writes(pixels: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(folder / "written.txt"), "x")]):
            return mean(tf.identity(pixels))

    floats = tf.TensorSpec([None, *SHAPE], tf.float32, name="x")
    functions: dict[str, tuple[Callable[..., Any], list[Any]]] = {
        "whole numbers": (
            lambda pixels: mean(tf.cast(pixels, tf.float32)),
            [tf.TensorSpec([None, *SHAPE], tf.uint8, name="x")],
        ),
        "one image": (mean, [tf.TensorSpec([1, *SHAPE], tf.float32, name="x")]),
        "two inputs of a SavedModel": (
            lambda pixels, factor: mean(pixels * factor),
            [floats, tf.TensorSpec([], tf.float32, name="y")],
        ),
        "writes files": (writes, [floats]),
        "gives too little": (
            lambda pixels: mean(pixels[:, :, :, 0]),
            [tf.TensorSpec(None, tf.float32, name="x")],
        ),
    }
    for name, (function, inputs) in functions.items():
        module = tf.Module()
        module.serve = tf.function(function, input_signature=inputs)
        tf.saved_model.save(module, str(folder / name), signatures={"serving_default": module.serve})
    return {name: folder / name for name in functions}


def main(folder: Path) -> None:
    images = pictures()
    seen = {
        "equality": equality(folder, images),
        "imports": imports(folder, images),
        "refusals": refusals(folder, images),
    }
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
