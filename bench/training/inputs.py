"""The input pipeline next to the same tf.data graph, as people write it by hand."""

import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.serving.report import Row
from bench.training.images import Files
from bench.training.ours import AUGMENTATION, BATCH, PLENTY, batches_of, bytes_below, count_of
from pipeline.spec import Augmentation, Image
from pipeline.training.inputs.augmentation import augmented
from pipeline.training.inputs.prepared import prepared
from pipeline.training.preprocessing import decoded

# Epochs after the first one, in a round.
EPOCHS = 3
# Of the shuffle by hand. A larger one makes it slower, for it is filled first.
_WINDOW = 1000
Seconds = dict[str, float]


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    """Images of 32 pixels as they are, and photographs that are scaled down to 96, without and with augmentation."""
    found = []
    for edge, image, count in (
        (32, Image(height=32, width=32), files),
        (256, Image(height=96, width=96), files // 5),
    ):
        folder = scratch / str(edge)
        images = Files(folder, count, edge=edge)
        for name, augmentation in (("without augmentation", Augmentation()), ("flip, crop, brightness", AUGMENTATION)):
            figure = f"{count:,} JPEG of {edge} x {edge} to {image.height} x {image.width}, {name}"
            turns = [_turn(scratch, images, image, augmentation) for _ in range(rounds + 1)]
            found += _rows(figure, turns[1:], count)  # the first one loads what a process loads once
        shutil.rmtree(folder)
    return found


def _turn(scratch: Path, images: Files, image: Image, augmentation: Augmentation) -> tuple[Seconds, Seconds]:
    """Seconds of the first epoch, which decodes, and of a following one: ours, and by hand."""
    ours = _ours(scratch / "ours", images, image, augmentation)
    return ours, _by_hand(scratch / "by hand", images, image, augmentation)


def _ours(folder: Path, images: Files, image: Image, augmentation: Augmentation) -> Seconds:
    start = time.perf_counter()
    with prepared(images.rows, images.fetch, image=image, folder=folder, most_bytes=PLENTY) as ready:
        count_of(batches_of(ready, epochs=1, augmentation=augmentation))
        first = time.perf_counter() - start
        data = batches_of(ready, epochs=EPOCHS, augmentation=augmentation)
        start = time.perf_counter()
        count_of(data)
        following = (time.perf_counter() - start) / EPOCHS
    return _measured(folder, first, following)


def _by_hand(folder: Path, images: Files, image: Image, augmentation: Augmentation) -> Seconds:
    import tensorflow as tf

    folder.mkdir()
    start = time.perf_counter()
    data: Any = tf.data.Dataset.from_tensor_slices(([str(path) for path in images.paths], images.rows.classes))
    data = data.map(
        lambda path, number: (decoded(tf.io.read_file(path), image), number), num_parallel_calls=tf.data.AUTOTUNE
    )
    data = data.cache(str(folder / "cache")).shuffle(_WINDOW, seed=1).batch(BATCH)
    if augmentation != Augmentation():
        data = data.enumerate().map(
            lambda step, batch: (augmented(batch[0] * 255.0, augmentation, tf.stack([step, step])), batch[1]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    data = data.prefetch(tf.data.AUTOTUNE)
    count_of(data)
    first = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(EPOCHS):
        count_of(data)
    return _measured(folder, first, (time.perf_counter() - start) / EPOCHS)


def _measured(folder: Path, first: float, following: float) -> Seconds:
    size = bytes_below(folder)
    shutil.rmtree(folder)
    return {"first": first, "following": following, "bytes": size}


def _rows(figure: str, turns: Sequence[tuple[Seconds, Seconds]], count: int) -> list[Row]:
    compared = (
        ("images per second, first epoch with decoding", "first"),
        ("images per second, following epochs", "following"),
    )
    rows = [
        Row(
            figure=figure,
            what=what,
            value=statistics.median(hand[name] / ours[name] for ours, hand in turns),
            ours=f"{count / statistics.median(ours[name] for ours, _ in turns):,.0f}/s",
            baseline=f"{count / statistics.median(hand[name] for _, hand in turns):,.0f}/s",
            goal=1.0,
            at_least=True,
        )
        for what, name in compared
    ]
    ours, hand = turns[0]
    size = Row(
        figure=figure,
        what="bytes of the cache",
        value=ours["bytes"] / hand["bytes"],
        ours=f"{ours['bytes'] / 1e6:.3g} MB",
        baseline=f"{hand['bytes'] / 1e6:.3g} MB",
    )
    return [*rows, size]
