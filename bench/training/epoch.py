"""An epoch of a training next to a loop over the same batches that a person writes with `tf.function`."""

import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.report import Row
from bench.training.images import Files
from bench.training.ours import BATCH, PLENTY
from pipeline.spec import Image, SmallNetwork, Training
from pipeline.storage.local import LocalBucket
from pipeline.training.fitting.checkpoints import Checkpoints
from pipeline.training.fitting.fit import fit
from pipeline.training.fitting.plan import Plan
from pipeline.training.inputs.prepared import Prepared, prepared
from pipeline.training.networks.building import build

# Of `examples/pets_offline.yaml`.
NETWORK = SmallNetwork(filters=(32, 64, 128), dense=64, dropout=0.4)
IMAGE = Image(height=32, width=32)
EPOCHS = 4
_RATE = 0.001


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    """Epochs after the first one, which compiles."""
    images = Files(scratch / "images", files, edge=32)
    none = images.rows.__class__(images.rows.digests[:0], images.rows.suffixes[:0], images.rows.classes[:0])
    ours, raw = [], []
    with ExitStack() as stack:
        ready, empty = (
            stack.enter_context(prepared(rows, images.fetch, image=IMAGE, folder=scratch / "cache", most_bytes=PLENTY))
            for rows in (images.rows, none)
        )
        pixels = ready.read(np.arange(len(ready)))
        for number in range(rounds):
            ours.append(_ours(scratch / f"bucket-{number}", ready, empty))
            raw.append(_raw(pixels, ready.classes))
    return [
        Row(
            figure=f"{files:,} images of 32 x 32, the network of examples/pets_offline.yaml",
            what="seconds of an epoch, checkpoint included",
            value=statistics.median(mine / other for mine, other in zip(ours, raw, strict=True)),
            ours=f"{statistics.median(ours):.2f} s",
            baseline=f"{statistics.median(raw):.2f} s",
            goal=1.05,
            at_least=False,
        )
    ]


def _ours(bucket: Path, ready: Prepared, empty: Prepared) -> float:
    bucket.mkdir()
    ends: list[float] = []
    labels = tuple(map(str, range(int(ready.classes.max()) + 1)))
    plan = Plan(Training(epochs=EPOCHS, batch_size=BATCH, learning_rate=_RATE, network=NETWORK), IMAGE, labels, seed=1)
    checkpoints = Checkpoints(LocalBucket(bucket), "bench", "retrain-1", of="")
    fit(
        plan,
        train=ready,
        validation=empty,
        checkpoints=checkpoints,
        on_epoch=lambda *_: ends.append(time.perf_counter()),
    )
    shutil.rmtree(bucket)
    return _median_epoch(ends)


def _raw(pixels: Any, classes: Any) -> float:
    """All pixels in memory, shuffled and batched by TensorFlow; the same loss, optimiser and metrics."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = build(NETWORK, IMAGE, classes=int(classes.max()) + 1, weights=None).model
    optimizer = keras.optimizers.Adam(_RATE)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    loss_mean, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    data = tf.data.Dataset.from_tensor_slices((pixels, classes)).shuffle(len(classes), seed=1).batch(BATCH)
    data = data.map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y)).prefetch(tf.data.AUTOTUNE)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            answers = model(x, training=True)
            loss = loss_of(y, answers)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        loss_mean.update_state(loss)
        accuracy.update_state(y, answers)

    ends = [_epoch(step, data) for _ in range(EPOCHS)]
    return _median_epoch(ends)


def _epoch(step: Callable[[Any, Any], None], data: Any) -> float:
    for x, y in data:
        step(x, y)
    return time.perf_counter()


def _median_epoch(ends: list[float]) -> float:
    return statistics.median(after - before for before, after in pairwise(ends))
