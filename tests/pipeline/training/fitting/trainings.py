"""A program for the tests: small trainings in a process of its own, which may be killed. Prints what it saw as JSON."""

import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from pipeline.errors import FailedError
from pipeline.runs.records import Epoch
from pipeline.spec import Application, Image, Training
from pipeline.training.fitting.fit import Fitted
from tests.pipeline.training.trained import trained

IMAGE = Image(height=8, width=8, channels=3)
LABELS = ("dark", "light", "striped")
COUNT = 30
TRAINING: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 0.01,
    "network": {"filters": [4], "dense": 8, "dropout": 0.3},
    "augmentation": {"flip": "horizontal", "crop": 0.2, "colour": {"brightness": 0.1}},
}


EXPLODES = "tests.pipeline.training.fitting.trainings:explodes"


def picture(number: int) -> bytes:
    """One of three kinds that a small network can tell apart."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 90, (8, 8, 3)) + (0, 150, 0)[number % 3]
    if number % 3 == 2:
        pixels[::2] += 150
    stream = io.BytesIO()
    Picture.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def images(numbers: range) -> list[tuple[bytes, int]]:
    return [(picture(number), number % 3) for number in numbers]


def pretrained(path: Path) -> Path:
    """A file of weights for MobileNetV3 at 32x32, made the first time.

    The statistics are those of the images. With those of a new network, hardly anything reaches its end.
    """
    import keras

    if path.exists():
        return path
    keras.utils.set_random_seed(3)
    base = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    small = [np.asarray(Picture.open(io.BytesIO(picture(number)))) for number in range(12)]
    base(np.repeat(np.repeat(np.array(small, np.float32), 4, axis=1), 4, axis=2), training=True)
    base.save_weights(path)
    return path


def train(
    folder: Path,
    changed: dict[str, Any],
    *,
    cache: str = "cache",
    on_epoch: Callable[[int, Epoch], None] = lambda *_: None,
    replicas: tuple[str, ...] = (),
    validation: int = 9,
    of: str | None = None,
) -> Fitted:
    training = Training.model_validate(TRAINING | changed)
    path = training.network.weights if isinstance(training.network, Application) else None
    return trained(
        training,
        Image(height=32, width=32, channels=3) if path else IMAGE,
        LABELS,
        seed=5,
        images=images(range(COUNT)),
        validation=images(range(COUNT, COUNT + validation)),
        folder=folder,
        cache=folder / cache,
        on_epoch=on_epoch,
        replicas=replicas,
        weights=pretrained(Path(path)) if path else None,
        of=of,
    )


def weights(fitted: Fitted) -> str:
    digest = hashlib.sha256()
    for variable in fitted.network.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def seen(fitted: Fitted) -> dict[str, Any]:
    return {
        "weights": weights(fitted),
        "metrics": [epoch.metrics for epoch in fitted.epochs],
        "best": fitted.best,
        "phase_ends": fitted.phase_ends,
        "facts": fitted.facts,
        "dtypes": sorted({str(layer.compute_dtype) for layer in fitted.network.layers}),
    }


def kill_after(epoch: int) -> Callable[[int, Epoch], None]:
    def kill(number: int, _: Epoch) -> None:
        if number == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def every_kind(folder: Path) -> dict[str, Any]:
    told: list[int] = []
    found: dict[str, Any] = {
        "first": seen(train(folder / "first", {}, on_epoch=lambda number, _: told.append(number))),
        "told": told,
        "again": seen(train(folder / "again", {})),
        "other rate": seen(train(folder / "other", {"learning_rate": 0.02})),
        "stopped": seen(
            train(folder / "stopped", {"epochs": 30, "learning_rate": 0.5, "early_stopping": {"patience": 2}})
        ),
        "without validation": seen(train(folder / "alone", {}, validation=0)),
        "mixed labels": seen(train(folder / "mixup", {"augmentation": {"mixup": 0.4}})),
        "mixed precision": seen(train(folder / "half", {"mixed_precision": "always"})),
        "cosine": seen(train(folder / "cosine", {"schedule": {"kind": "cosine", "warmup": 0.25}})),
        "weighted": seen(train(folder / "weighted", {"class_weights": {"dark": 5.0}})),
    }
    # As if a module that the function of the network imports had been edited.
    train(folder / "edited", {"network": TRAINING["network"] | {"dense": 5}}, of="the same")
    found["edited"] = seen(train(folder / "edited", {}, of="the same"))
    try:
        train(folder / "diverged", {"learning_rate": 1.0, "epochs": 2, "class_weights": {"dark": 1e38}})
    except FailedError as error:
        found["diverged"] = str(error)
    try:
        train(folder / "lost", {"learning_rate": 1.0, "epochs": 1, "batch_size": 64, "network": {"function": EXPLODES}})
    except FailedError as error:
        found["no metric"] = str(error)
    return found


def explodes(shape: tuple[int, ...], classes: int) -> Any:
    """After one step at a high rate its loss is no number. The loss of the training was measured before the step."""
    import keras

    layers = [keras.Input(shape), keras.layers.Flatten()]
    layers += [keras.layers.Dense(8, activation="exponential") for _ in range(2)]
    return keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])


def two_devices(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return seen(train(folder, {"mixed_precision": "always"}, replicas=("CPU:0", "CPU:1")))


def main(kind: str, folder: Path, *more: str) -> None:
    if kind == "killed":
        train(folder, json.loads(more[0]), cache="cache of another machine", on_epoch=kill_after(int(more[1])))
    elif kind == "resumed":
        told: list[int] = []
        resumed = seen(train(folder, json.loads(more[0]), on_epoch=lambda number, _: told.append(number)))
        print(json.dumps(resumed | {"told": told}))  # noqa: T201 - the test reads it
    else:
        found = every_kind(folder) if kind == "every kind" else two_devices(folder)
        print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
