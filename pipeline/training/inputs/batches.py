"""Batches of prepared images as TensorFlow's data sets. Each batch follows from its number alone.

Nothing is shuffled in memory: batch k of an epoch has the images k x batch size and following in the order of that
epoch, wherever a training begins.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInputError
from pipeline.spec import Augmentation, Image
from pipeline.training.inputs.augmentation import augmented, mixed
from pipeline.training.inputs.class_weights import class_weights as weights_of
from pipeline.training.inputs.order import order_of
from pipeline.training.inputs.prepared import Prepared

# Batches that are ready while the network works.
_READY = 2
# Batches that are read at once.
_BLOCK_BATCHES = 16
_BLOCK_BYTES = 4 << 20
# That change batches.
_MOST_THREADS = 8


def steps_of(prepared: Prepared, batch_size: int) -> int:
    """The batches of an epoch; the last one may be smaller."""
    return -(-len(prepared) // batch_size)


def training_batches(
    prepared: Prepared,
    *,
    batch_size: int,
    seed: int,
    first_epoch: int,
    epochs: int,
    augmentation: Augmentation,
    class_weights: Any,
    labels: Sequence[str],
) -> Any:
    """A tf.data.Dataset of the batches of all epochs from `first_epoch` to before `epochs`.

    Pixels float32 (batch, height, width, channels) in [0, 1]; targets: class numbers int32 (batch,), or with mixup
    float32 (batch, labels); weights float32 (batch,). The same arguments give the same batches on every machine, and
    those of an epoch do not depend on `first_epoch`. Read it inside `prepared.own_errors()`.

    Args:
        prepared: the images; at least one.
        batch_size: images in a batch, at most.
        seed: of the order and of the augmentation.
        first_epoch: from 0.
        epochs: of the whole training.
        augmentation: random changes.
        class_weights: as in `Training.class_weights`.
        labels: of the classes, in their order.

    Raises:
        BadInputError: there is no image.
    """
    import tensorflow as tf

    if not len(prepared):
        raise BadInputError(
            "no image is in the split `train`, so nothing can be trained: add images, or lower data.validation and "
            "data.holdout in the model file"
        )
    weight = tf.constant(weights_of(class_weights, prepared.classes, labels))
    order = lru_cache(maxsize=2)(lambda epoch: order_of(seed, epoch, len(prepared)))

    def finished(number: Any, pixels: Any, numbers: Any) -> tuple[Any, Any, Any]:
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        pixels = augmented(pixels, augmentation, seeds)
        weights = tf.gather(weight, numbers)
        if not augmentation.mixup:
            return pixels, numbers, weights
        return mixed(pixels, tf.one_hot(numbers, len(labels)), weights, augmentation.mixup, seeds)

    return _batches(prepared, batch_size, range(first_epoch, epochs), order, finished)


def plain_batches(prepared: Prepared, *, batch_size: int) -> Any:
    """A tf.data.Dataset of every image once, in order, unchanged: pixels as in `training_batches`, class numbers.

    Read it inside `prepared.own_errors()`.
    """
    import tensorflow as tf

    in_order = np.arange(len(prepared))

    def finished(_: Any, pixels: Any, numbers: Any) -> tuple[Any, Any]:
        return tf.cast(pixels, tf.float32) / 255.0, numbers

    return _batches(prepared, batch_size, range(1), lambda _: in_order, finished)


def _batches(prepared: Prepared, batch_size: int, epochs: range, order: Any, finished: Any) -> Any:
    """A data set of the batches of these epochs.

    Blocks of several batches are read at once: a call of Python takes as long as reading a batch of small images.

    Args:
        prepared: the images.
        batch_size: images in a batch, at most.
        epochs: their numbers.
        order: from the number of an epoch to the positions of its images in their order.
        finished: in TensorFlow, from the number of a batch, its pixels (uint8) and class numbers to what the data set
            gives.
    """
    import tensorflow as tf

    image = prepared.image
    steps = steps_of(prepared, batch_size)
    in_block = _block_batches(image, batch_size)
    blocks = -(-steps // in_block)

    def read(number: NDArray[np.int64]) -> tuple[np.int64, NDArray[np.uint8], NDArray[np.int32]]:
        epoch, block = divmod(int(number), blocks)
        first = block * in_block
        chosen = order(epoch)[first * batch_size : (first + in_block) * batch_size]
        try:
            return np.int64(epoch * steps + first), prepared.read(chosen), prepared.classes[chosen]
        except BaseException as error:
            prepared.keep_failure(error)
            raise

    def block_of(number: Any) -> Any:
        first, pixels, classes = tf.numpy_function(read, [number], [tf.int64, tf.uint8, tf.int32], stateful=False)
        pixels = tf.ensure_shape(pixels, (None, image.height, image.width, image.channels))
        return tf.ensure_shape(first, ()), pixels, tf.ensure_shape(classes, (None,))

    def split(first: Any, pixels: Any, classes: Any) -> Any:
        count = (tf.shape(classes, tf.int64)[0] + batch_size - 1) // batch_size
        return tf.data.Dataset.range(count).map(
            lambda at: (
                first + at,
                pixels[at * batch_size : (at + 1) * batch_size],
                classes[at * batch_size : (at + 1) * batch_size],
            )
        )

    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    # One thread reads: several would wait for each other, because Python runs one of them at a time.
    data = tf.data.Dataset.range(epochs.start * blocks, epochs.stop * blocks).map(block_of).prefetch(1).flat_map(split)
    data = data.map(finished, num_parallel_calls=threads, deterministic=True).prefetch(_READY)
    data = data.apply(tf.data.experimental.assert_cardinality(len(epochs) * steps))
    options = tf.data.Options()
    # Threads of their own: one may wait for images that are decoded again, which needs the threads of TensorFlow.
    options.threading.private_threadpool_size = threads + 2
    return data.with_options(options)


def _block_batches(image: Image, batch_size: int) -> int:
    """How many batches are read at once."""
    batch_bytes = batch_size * image.height * image.width * image.channels
    return min(max(1, _BLOCK_BYTES // batch_bytes), _BLOCK_BATCHES)
