"""Many encoded images to pixels of 8 bits, in parallel and in bounded memory, by the function that is also served."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.budget import Budget
from pipeline.errors import FailedError
from pipeline.spec import Image
from pipeline.training.preprocessing import decoded
from serving.images import MOST_PIXELS, ImageError, read_header

Tag = TypeVar("Tag")

# Encoded images that are decoded by one call: many small ones, because a call takes as long as decoding ten of them.
_GROUP_IMAGES = 64
_GROUP_PIXELS = 1 << 20
# TensorFlow takes 15 bytes for each pixel that it decodes and scales, 0.7 GB for these. A larger image is decoded
# alone.
_decoding = Budget(MOST_PIXELS // 2)


class Decoder(Generic[Tag]):
    """Decodes to one size.

    Args:
        image: the size.
        described: how a message names the image with a tag, if it cannot be decoded.
    """

    def __init__(self, image: Image, *, described: Callable[[Tag], str]) -> None:
        import tensorflow as tf

        shape = (image.height, image.width, image.channels)
        signature = tf.TensorSpec(shape, tf.uint8)

        def one(content: Any) -> Any:
            return tf.cast(tf.round(decoded(content, image) * 255.0), tf.uint8)

        def many(contents: Any) -> Any:
            return tf.map_fn(one, contents, fn_output_signature=signature, parallel_iterations=1)

        with tf.device("/cpu:0"):
            self._many = tf.function(many, input_signature=[tf.TensorSpec([None], tf.string)]).get_concrete_function()
        self._described = described

    def _decode(self, images: Sequence[tuple[Tag, bytes]], pixels_to_decode: int) -> NDArray[np.uint8]:
        import tensorflow as tf

        try:
            with _decoding.taken(pixels_to_decode):
                pixels: NDArray[np.uint8] = self._many(
                    tf.constant([content for _, content in images], tf.string)
                ).numpy()
                return pixels
        except tf.errors.InvalidArgumentError as error:
            if len(images) > 1:
                return np.concatenate([self._decode([each], _pixels(each[1])) for each in images])
            raise FailedError(
                f"{self._described(images[0][0])} cannot be decoded, although the snapshot decoded it: "
                f"{_reason(error.message)}. Remove the image from the source, and trigger a new run"
            ) from error

    def decode_all(self, images: Iterable[tuple[Tag, bytes]]) -> Iterator[tuple[list[Tag], NDArray[np.uint8]]]:
        """Decode in as many threads as there are processors; groups of tags and pixels, in the order of the images.

        Pixels are uint8 (images, height, width, channels): the nearest to those of the served decoder times 255.
        Memory: two groups for each thread.

        Raises:
            FailedError: one of them cannot be decoded.
        """
        threads = len(os.sched_getaffinity(0))
        waiting: deque[tuple[list[Tag], Future[NDArray[np.uint8]]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for group, pixels_to_decode in _groups(images):
                    decoding = pool.submit(self._decode, group, pixels_to_decode)
                    waiting.append(([tag for tag, _ in group], decoding))
                    if len(waiting) > 2 * threads:
                        tags, pixels = waiting.popleft()
                        yield tags, pixels.result()
                while waiting:
                    tags, pixels = waiting.popleft()
                    yield tags, pixels.result()
            finally:
                for _, pixels in waiting:
                    pixels.cancel()


def _reason(message: str) -> str:
    """TensorFlow's own words, without the places in the code and in the graph."""
    return message.partition("\n\t [[")[0].strip().rpartition("\n")[2].rstrip(".")


def _groups(images: Iterable[tuple[Tag, bytes]]) -> Iterator[tuple[list[tuple[Tag, bytes]], int]]:
    """Images that are decoded by one call, and their pixels before they are scaled."""
    group: list[tuple[Tag, bytes]] = []
    total = 0
    for tag, content in images:
        pixels = _pixels(content)
        if group and (total + pixels > _GROUP_PIXELS or len(group) == _GROUP_IMAGES):
            yield group, total
            group, total = [], 0
        group.append((tag, content))
        total += pixels
    if group:
        yield group, total


def _pixels(content: bytes) -> int:
    """What the header claims; 0 for an image that cannot be decoded."""
    try:
        header = read_header(content)
    except ImageError:
        return 0
    return header.width * header.height
