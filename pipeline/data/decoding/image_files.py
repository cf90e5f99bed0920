"""What a snapshot learns from the bytes of one image file: whether it can be used, what is stored, how it looks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.data.decoding.perceptual_hash import perceptual_hash
from pipeline.data.decoding.served_decoder import UndecodableError, decoded_shape
from pipeline.data.source import UnreadableError
from serving.images import ImageError, prepare

# Grey values from 0 to 255. One letter on a page is more, the noise of JPEG in a single colour is less.
_BLANK_DEVIATION = 2.0
_GREYS = np.arange(256)


@dataclass(frozen=True)
class ReadImage:
    """An image that can be used.

    Attributes:
        content: what is stored, a PNG or JPEG: the given bytes, or what they were converted to.
        suffix: of the content, `.png` or `.jpg`.
        width: in pixels, upright.
        height: likewise.
        is_converted: whether the content differs from what was given.
        is_blank: whether nearly all of it has one brightness: a standard deviation below 2 of 255.
        phash: its perceptual hash, of 64 bits; None for a blank image, and for one that `perceptual_hash` finds too
            small or too empty.
    """

    content: bytes
    suffix: str
    width: int
    height: int
    is_converted: bool
    is_blank: bool
    phash: int | None


def read_image(content: bytes, *, channels: int) -> ReadImage:
    """Convert an image file if necessary, and decode what will be stored as a server will. Safe in many threads.

    Args:
        content: the file.
        channels: of the model's images, 1 or 3. What is stored does not depend on it.

    Raises:
        UnreadableError: it cannot be used.
    """
    try:
        prepared = prepare(content)
        decoded_shape(prepared.content, channels=channels)
    except ImageError as error:
        raise UnreadableError(str(error)) from error
    except UndecodableError as error:
        raise UnreadableError(f"is damaged (TensorFlow: {error}); copy it again or remove it") from error
    is_blank = _is_blank(prepared.picture)
    return ReadImage(
        content=prepared.content,
        suffix=prepared.suffix,
        width=prepared.width,
        height=prepared.height,
        is_converted=prepared.is_converted,
        is_blank=is_blank,
        phash=None if is_blank else perceptual_hash(prepared.picture),
    )


def _is_blank(picture: Any) -> bool:
    shares = np.array(picture.convert("L").histogram()) / (picture.width * picture.height)
    variance = shares @ _GREYS**2 - (shares @ _GREYS) ** 2
    return bool(variance < _BLANK_DEVIATION**2)
