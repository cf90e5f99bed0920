"""Run as a program: `pets FOLDER` writes the model and the photographs that the gateway is measured with.

pets/1           a network of the kind of examples/pets.yaml, exported as the verb `train` exports it
photographs/*    JPEG of the size of a photograph on the web
answers.npz      the probabilities of each photograph, to prove that every server computes the same

Its weights are random: they cost as much as trained ones, and no download is needed.
"""

import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from pipeline.spec import Application, Image
from pipeline.training.exporting.export import export
from pipeline.training.networks.applications import build
from pipeline.training.preprocessing import decoded

NAME = "pets"
LABELS = ("cat", "dog")
# Width and height; each photograph is decoded and resized by the model.
SIZES = ((224, 224), (320, 240), (375, 500), (400, 300), (500, 333), (500, 375), (333, 500), (500, 500))


def photograph(number: int) -> bytes:
    """A JPEG in colour: soft shapes with some grain, which compresses like a photograph, 10 to 80 KB."""
    width, height = SIZES[number % len(SIZES)]
    random = np.random.default_rng(number)
    shapes = Picture.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    soft = np.asarray(shapes.resize((width, height), Picture.Resampling.BICUBIC), np.float32)
    grain = random.normal(0, 8, (height, width, 1))
    stream = io.BytesIO()
    Picture.fromarray((soft + grain).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=88)
    return stream.getvalue()


def photographs(folder: Path) -> list[bytes]:
    """Those in a folder that this program wrote."""
    return [(folder / "photographs" / f"{number}.jpg").read_bytes() for number in range(len(SIZES))]


def probabilities(folder: Path) -> Any:
    """float32, shape (photographs, classes)."""
    with np.load(folder / "answers.npz") as saved:
        return saved["probabilities"]


def _follow_statistics(network: Any, pixels: Any) -> None:
    """Normalise by what these images give: otherwise random layers shrink every image to the same answer."""
    import keras

    inner = [layer for each in network.layers for layer in getattr(each, "layers", [each])]
    for layer in inner:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(pixels, training=True)


def main(folder: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    size = Image(height=224, width=224, channels=3)
    images = [photograph(number) for number in range(len(SIZES))]
    pixels = np.stack([decoded(image, size).numpy() for image in images])
    network, _ = build(Application(name="mobilenet_v3_large"), size, classes=len(LABELS), weights=None)
    _follow_statistics(network, pixels)
    (folder / NAME).mkdir()
    (folder / "photographs").mkdir()
    for number, image in enumerate(images):
        (folder / "photographs" / f"{number}.jpg").write_bytes(image)
    export(network, folder / NAME / "1", name=NAME, image=size, labels=LABELS, warmup=images[:1])
    np.savez(folder / "answers.npz", probabilities=network(pixels, training=False).numpy())


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]))
