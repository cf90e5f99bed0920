"""An exported SavedModel whose answers can be differentiated."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInputError
from pipeline.spec import Image
from pipeline.training.explaining.integrated_gradients import Pixels
from pipeline.training.preprocessing import decoded
from serving.images import ImageError
from serving.signature import PIXELS, PROBABILITIES, TENSOR_NAME


class DifferentiableModel:
    """A SavedModel in memory, with the signature that takes pixels: the one for encoded images has no gradient.

    It is loaded through Python, unlike on a server: only that way does TensorFlow know the gradients.

    Attributes:
        image: the size and the channels of its input.
        classes: how many it knows.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        """Load a folder of this machine. It is not needed afterwards.

        Args:
            folder: of the SavedModel; its files are trusted, see `pipeline.safety`.
            name: what a message calls it.

        Raises:
            BadInputError: it has no such signature, as models from before 2026-12.
        """
        import tensorflow as tf

        # It owns the variables, so it must live as long as the signature is used.
        self._loaded = tf.saved_model.load(str(folder))
        found = self._loaded.signatures.get(TENSOR_NAME)
        if found is None:
            raise BadInputError(
                f"{name} cannot be explained: it has no signature {TENSOR_NAME!r}, which takes pixels and has "
                f"gradients. It was exported before there was one. Train or import the model again, and explain the "
                f"new version"
            )
        self._signature = found
        _, height, width, channels = found.structured_input_signature[1][PIXELS].shape
        self.image = Image(height=height, width=width, channels=channels)
        self.classes = int(found.structured_outputs[PROBABILITIES].shape[-1])

    def __call__(self, pixels: Any) -> Any:
        """Probabilities (batch, classes) of float32 (batch, height, width, channels) in [0, 1], as tensors."""
        return self._signature(**{PIXELS: pixels})[PROBABILITIES]

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        """Of each class, for one image (height, width, channels) in [0, 1]."""
        found: NDArray[np.float32] = np.asarray(self(pixels[None]))[0]
        return found

    def pixels(self, content: bytes) -> Pixels:
        """What the network sees of an encoded PNG or JPEG: float32 (height, width, channels) in [0, 1].

        Raises:
            ImageError: TensorFlow cannot decode it, which what `serving.images.prepare` made it can.
        """
        import tensorflow as tf

        try:
            return np.asarray(decoded(tf.constant(content), self.image), np.float32)
        except tf.errors.InvalidArgumentError as error:
            raise ImageError(f"cannot be decoded ({error.message}); convert it or remove it") from error
