"""The limit on pixels of one request: a few kilobytes may stand for billions of them, and a server decodes them."""

from collections.abc import Mapping

import numpy as np

from serving import signature
from serving.gateway.errors import GatewayError
from serving.images import ImageError, ImageTooLargeError, read_header
from serving.wire import Array


class PixelLimit:
    """How many pixels the images of one request may have together, as their headers claim."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def take(self, pixels: int) -> None:
        """Count one more image.

        Raises:
            GatewayError: 413, they are too many now.
        """
        self._left -= pixels
        if self._left < 0:
            limit = f"more than {self._limit:,} pixels"
            raise GatewayError(413, f"the images have {limit} together; make them smaller, or send fewer at once")


def check_count(inputs: Mapping[str, Array], *, limit: int) -> None:
    """Refuse more images in `signature.INPUT` than so many.

    Raises:
        GatewayError: 413.
    """
    images = inputs.get(signature.INPUT)
    if images is not None and images.dtype == np.object_ and images.size > limit:
        raise GatewayError(413, f"the request has more than {limit} images; send fewer at once")


def check_pixels(inputs: Mapping[str, Array], *, limit: int) -> None:
    """Refuse images that claim too many pixels. What is not an image is for the server to refuse.

    Args:
        inputs: of a request, by name; the images are in `signature.INPUT`.
        limit: the most pixels of all images together.

    Raises:
        GatewayError: 413, they claim more.
    """
    images = inputs.get(signature.INPUT)
    if images is None or images.dtype != np.object_:
        return
    pixels = PixelLimit(limit)
    for content in images.reshape(-1).tolist():
        try:
            header = read_header(content)
        except ImageTooLargeError:
            pixels.take(limit + 1)
        except ImageError:
            continue
        else:
            pixels.take(header.width * header.height)
