"""What a client is given as images, made the inputs of a request. Pillow is imported when an array is encoded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from serving import signature
from serving.wire import Array

Image: TypeAlias = bytes | NDArray[Any]
Images: TypeAlias = Image | Sequence[Image]

# Grey or RGB.
_CHANNELS = (1, 3)
_EXPECTED = (
    "an image is the bytes of a PNG or JPEG file, a uint8 array of shape (height, width), (height, width, 1) or "
    "(height, width, 3), or an array of floats from 0 to 1 of shape (height, width, channels)"
)


@dataclass(frozen=True)
class Batch:
    """The signature to ask, and its inputs."""

    signature: str
    inputs: dict[str, Array]


def has_arrays(images: Images) -> bool:
    """Whether `batch_of` takes more than a moment: arrays are encoded or compared."""
    if isinstance(images, np.ndarray):
        return True
    return not _is_one(images) and any(isinstance(each, np.ndarray) for each in images)


def batch_of(images: Images) -> Batch:
    """The request for an image or several: floats as pixels, all else as encoded images.

    An array of uint8 becomes a PNG, which keeps every value. Floats are what the network takes: images of its own size
    and channels, see `serving.signature`.

    Args:
        images: an image or several. Floats and other images do not go together.

    Raises:
        ValueError: something is no image, there is none, or they do not go together.
    """
    several: list[Any] = [images] if _is_one(images) else list(images)
    if not several:
        raise ValueError("there are no images; give at least one")
    floats = [isinstance(each, np.ndarray) and each.dtype.kind == "f" for each in several]
    if all(floats):
        return Batch(signature.TENSOR_NAME, {signature.PIXELS: _pixels(several)})
    if any(floats):
        raise ValueError(
            f"image {floats.index(True)} is an array of floats, and others are not; send floats in a request of their "
            f"own"
        )
    return Batch(signature.NAME, signature.inputs_of([_encoded(each, number) for number, each in enumerate(several)]))


def _is_one(images: Any) -> bool:
    if isinstance(images, np.ndarray):
        return images.ndim < 4
    return not isinstance(images, Sequence) or isinstance(images, bytes | bytearray | memoryview | str)


def _encoded(image: Any, number: int) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return _content(bytes(image), number)
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image {number} is {type(image).__name__}; {_EXPECTED}")
    if image.dtype != np.uint8:
        raise ValueError(f"image {number} is an array of {image.dtype}; {_EXPECTED}")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in _CHANNELS)) or 0 in image.shape:
        raise ValueError(f"image {number} is an array of shape {image.shape}; {_EXPECTED}")
    return _png(image)


def _content(content: bytes, number: int) -> bytes:
    if not content:
        raise ValueError(f"image {number} has no bytes; {_EXPECTED}")
    return content


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image as Picture  # noqa: PLC0415 - see the docstring of the module

    stream = io.BytesIO()
    grey = image.ndim == 3 and image.shape[2] == 1
    # The fastest compression: the network is seldom the slowest part.
    Picture.fromarray(image[:, :, 0] if grey else image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _pixels(images: Sequence[Any]) -> NDArray[np.float32]:
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(f"the arrays have the shapes {sorted(shapes)}; a request takes floats of one shape")
    (shape,) = shapes
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"the array of floats has the shape {shape}; {_EXPECTED}")
    pixels = np.stack(images).astype(np.float32, copy=False)
    lowest, highest = float(pixels.min()), float(pixels.max())
    # Also if one is NaN.
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"the array of floats has values from {lowest:g} to {highest:g}; {_EXPECTED}")
    return pixels
