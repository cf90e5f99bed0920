"""What an image costs `snapshot` and `train`.

Run as a process, it does the one or the other: `python -m bench.scale.images snapshot FOLDER ROOT`, or `train FOLDER
COUNT EDGE`, with so many images of so many pixels, which are in the folder.
"""

import hashlib
import io
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from bench.scale.measuring import answer, show, usage
from pipeline.data.snapshot.importing import import_images
from pipeline.runs.rows import Rows
from pipeline.spec import Data, Image, ModelSpec, Training
from pipeline.storage.local import LocalBucket
from pipeline.storage.opening import open_bucket
from pipeline.training.fitting.checkpoints import Checkpoints
from pipeline.training.fitting.fit import fit
from pipeline.training.fitting.plan import Plan
from pipeline.training.inputs.fetching import Positions
from pipeline.training.inputs.prepared import prepared

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


def train(folder: Path, count: int, edge: int) -> None:
    """One epoch over images that are read from a disk as `train` reads them from a bucket."""
    paths = [folder / f"{number:08d}.png" for number in range(count)]
    digests = np.array([list(hashlib.sha256(path.read_bytes()).digest()) for path in paths], np.uint8)
    rows = Rows(digests, np.array([b".png"] * count, "S8"), (np.arange(count) % LABELS).astype(np.int32))
    image = Image(height=edge, width=edge)

    def fetch(positions: Positions) -> list[bytes]:
        return [paths[position].read_bytes() for position in positions]

    with ExitStack() as stack:
        images, none = (
            stack.enter_context(prepared(each, fetch, image=image, folder=folder / "cache", most_bytes=10**12))
            for each in (rows, Rows(digests[:0], rows.suffixes[:0], rows.classes[:0]))
        )
        bucket = LocalBucket(folder / "bucket")
        plan = Plan(Training(epochs=1), image, tuple(map(str, range(LABELS))), seed=1)
        checkpoints = Checkpoints(bucket, "scale", "retrain-1", of="")
        fit(plan, train=images, validation=none, checkpoints=checkpoints, on_epoch=lambda *_: None)
    answer(0.0)


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
    with tempfile.TemporaryDirectory() as scratch:
        used = []
        for count in (few, many):
            folder = Path(scratch) / f"train-{count}"
            (folder / "bucket").mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:08d}.png").write_bytes(encoded(number, edge))
            used.append(usage("bench.scale.images", "train", folder, count, edge))
    small, large = used
    kept = 1e3 * (large.peak_mb - small.peak_mb) / (many - few)
    show(f"memory of an image of {edge} x {edge} x 3 in `train`, {few} to {many} images", kept, "kB")
    show(f"of that size: its pixels in the cache ({edge}*{edge}*3 bytes)", edge * edge * 3 / 1e3, "kB")
    show("memory of `train`", small.peak_mb, "MB")


if __name__ == "__main__":
    if sys.argv[1] == "snapshot":
        snapshot(*sys.argv[2:])
    else:
        train(Path(sys.argv[2]), *map(int, sys.argv[3:]))
