"""Whether the exported SavedModel answers as the Keras model does: the last check before it is stored."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FailedError
from pipeline.spec import Image
from pipeline.training.preprocessing import decoded
from serving import signature
from serving.inference.local_model import load_local_model
from serving.status import StatusError
from serving.tensorflow.saved_model import SavedModel
from serving.wire import Array

log = logging.getLogger(__name__)

BATCH_SIZES = (1, 8, 64)
MOST_IMAGES = max(BATCH_SIZES)
# Of a probability. Both sides compute in float32 and add the same products, but in another order: a server fuses and
# rearranges operations, and chooses kernels by the size of the batch. One operation is then off by about 1e-7 of its
# value, and a deep network by 1e-6 to 1e-5 of a probability. A wrong scaling, a lost weight or a layer in training mode
# changes probabilities by far more than this. It is a tenth of what the canary allows (`canary.tolerance`).
TOLERANCE = 1e-4
# Of the pixels of one batch: a larger one is not run, because the layers of a network take many times as much.
_MOST_BYTES = 2**27


def require_equal(network: Any, folder: Path, images: Sequence[bytes], *, image: Image) -> float:
    """Compare the answers of both signatures, in batches of 1, 8 and 64, with those of the network itself.

    The folder is loaded as a server loads it. Fewer than 64 images are repeated to fill a batch. NaN or infinity on
    both sides is equal: whether a model may have them is decided later, with a message about the weights.

    Args:
        network: what was exported, see `export`.
        folder: the SavedModel.
        images: encoded images that the network was not trained on; at least one. The first 64 are used.
        image: the size and the channels of the network's input.

    Returns:
        The largest difference of a probability.

    Raises:
        FailedError: a difference is above TOLERANCE, the class is not the one with the highest probability, or a server
            could not load or run the model either.
    """
    images = images[:MOST_IMAGES]
    sizes = [size for size in BATCH_SIZES if size == 1 or size * _bytes(image) <= _MOST_BYTES]
    pixels = np.stack([decoded(content, image).numpy() for content in images])
    # In pieces no larger than the largest batch that is compared, for the memory of it.
    pieces = [pixels[start : start + sizes[-1]] for start in range(0, len(images), sizes[-1])]
    expected = np.concatenate([np.asarray(network(piece, training=False)) for piece in pieces])
    compared = _Compared(images, pixels, expected)
    try:
        model = load_local_model(folder)
        try:
            names = (signature.NAME, signature.TENSOR_NAME)
            largest = max(compared.difference(model, name, size) for name in names for size in sizes)
        finally:
            model.close()
    except StatusError as error:
        raise FailedError(f"the exported model cannot be loaded or run: {error}") from error
    log.info(
        "the exported model answers as the network does for %d images in batches of %s: the largest difference of a "
        "probability is %.1e",
        len(images),
        ", ".join(map(str, sizes)),
        largest,
    )
    return largest


def _bytes(image: Image) -> int:
    return image.height * image.width * image.channels * np.dtype(np.float32).itemsize


@dataclass(frozen=True)
class _Compared:
    """Encoded images, their pixels, and the probabilities that are expected."""

    images: Sequence[bytes]
    pixels: NDArray[np.float32]
    expected: NDArray[np.float32]

    def difference(self, model: SavedModel, name: str, size: int) -> float:
        """The largest difference of a probability for one signature and one batch size."""
        largest = 0.0
        for start in range(0, len(self.images), size):
            positions = [(start + number) % len(self.images) for number in range(size)]
            probabilities, indices, _ = model.run(*self._asked(model.signatures[name], name, positions))
            difference = largest_difference(probabilities, self.expected[positions])
            where = f"signature {name}, batches of {size}"
            # Also if a difference is NaN.
            if not difference <= TOLERANCE:
                raise FailedError(
                    f"the exported model does not answer as the network does: a probability differs by "
                    f"{difference:.2g}, above {TOLERANCE:g} ({where}). Look for a layer whose answer depends on "
                    f"training, on chance or on the other images of a batch. Nothing was stored"
                )
            finite = np.isfinite(probabilities).all(axis=1)
            if (indices != probabilities.argmax(axis=1))[finite].any():
                raise FailedError(f"the exported model's class is not the one with the highest probability ({where})")
            largest = max(largest, difference)
        return largest

    def _asked(self, definition: Any, name: str, positions: Sequence[int]) -> tuple[dict[str, Array], list[str]]:
        if name == signature.NAME:
            return signature.feeds_and_fetches(definition, [self.images[each] for each in positions])
        return signature.tensor_feeds_and_fetches(definition, self.pixels[list(positions)])


def largest_difference(given: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of two arrays; infinite if their shapes differ.

    Where both are NaN, or the same infinity, it is 0; where only one of them is, infinite.
    """
    if given.shape != expected.shape:
        return math.inf
    same = (given == expected) | (np.isnan(given) & np.isnan(expected))
    differences = np.zeros(given.shape)
    np.subtract(given, expected, where=~same, out=differences)
    return float(np.nan_to_num(np.abs(differences), nan=math.inf, posinf=math.inf).max())
