"""What an image costs `snapshot` and `train`.

Run as a process, it does the one or the other: `python -m bench.scale.images snapshot FOLDER ROOT`, or `train COUNT
EDGE`, with so many images of so many pixels.
"""

import io
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from bench.scale.measuring import answer, show, usage
from pipeline.data.snapshot.importing import import_images
from pipeline.spec import Data, Image, ModelSpec, Training
from pipeline.storage.opening import open_bucket
from pipeline.training import network

LABELS = 10
EDGE = 32


def encoded(number: int, edge: int) -> bytes:
    """A PNG in colour that nothing compresses, each with another content."""
    pixels = np.random.default_rng(number).integers(0, 256, (edge, edge, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def write_images(folder: Path, count: int) -> None:
    for label in range(LABELS):
        (folder / f"label {label}").mkdir(parents=True)
    for number in range(count):
        write_image(folder, number)


def write_image(folder: Path, number: int) -> None:
    path = folder / f"label {number % LABELS}" / f"{number}.png"
    path.write_bytes(encoded(number, EDGE))
    an_hour_ago = time.time() - 3600  # a file that has just been changed is read again by the next snapshot
    os.utime(path, (an_hour_ago, an_hour_ago))


def snapshot(folder: str, root: str) -> None:
    spec = ModelSpec(
        name="many",
        description="many images",
        owner="understudy",
        data=Data(images=folder),
        image=Image(height=EDGE, width=EDGE),
        training=Training(epochs=1),
    )
    found = import_images(open_bucket(root, seconds=30), spec, at=datetime.now(UTC))
    answer(sum(path.stat().st_size for path in (Path(root) / found.manifest).iterdir()))


def train(count: int, edge: int) -> None:
    images = [(encoded(number % 50, edge), number % LABELS) for number in range(count)]
    network.train(
        Training(epochs=1),
        Image(height=edge, width=edge),
        classes=LABELS,
        seed=1,
        train_images=images,
        validation_images=[],
        on_epoch=lambda *_: None,
    )
    answer(sum(len(content) for content, _ in images) / count)


def report_snapshot(few: int, many: int) -> None:
    """The first snapshot reads and stores each image; the next one finds nothing new; the third one finds one image."""
    with tempfile.TemporaryDirectory() as scratch:
        found = {}
        for count in (few, many):
            folder, root = Path(scratch) / f"images-{count}", Path(scratch) / f"bucket-{count}"
            write_images(folder, count)
            root.mkdir()
            found[count] = [usage("bench.scale.images", "snapshot", folder, root) for _ in range(2)]
            write_image(folder, count)
            found[count].append(usage("bench.scale.images", "snapshot", folder, root))
    more = many - few
    orders = ("the first snapshot", "the next snapshot", "a snapshot that finds one new image")
    for order, small, large in zip(orders, found[few], found[many], strict=True):
        cpu = 1e3 * (large.cpu_seconds - small.cpu_seconds) / more
        show(f"CPU of an image in {order}, {few} to {many} images, on a disk", cpu, "ms")
    small, large = found[few][0], found[many][0]
    show("bytes of an image in the list of a snapshot", (large.found - small.found) / more, "bytes")
    show("memory of an image in the first snapshot", 1e3 * (large.peak_mb - small.peak_mb) / more, "kB")


def report_train(few: int, many: int, edge: int) -> None:
    small, large = (usage("bench.scale.images", "train", count, edge) for count in (few, many))
    kept = 1e3 * (large.peak_mb - small.peak_mb) / (many - few)
    decoded = edge * edge * 3 * 4 / 1e3
    show(f"memory of an image of {edge} x {edge} x 3 in `train`, {few} to {many} images", kept, "kB")
    show(f"of that size: its pixels as 4-byte numbers ({edge}*{edge}*3*4 bytes)", decoded, "kB")
    show("of that size: the encoded image", large.found / 1e3, "kB")
    show("memory of `train` without images", small.peak_mb - few * kept / 1e3, "MB")


if __name__ == "__main__":
    if sys.argv[1] == "snapshot":
        snapshot(*sys.argv[2:])
    else:
        train(*map(int, sys.argv[2:]))
