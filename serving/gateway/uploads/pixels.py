"""The limit on pixels for images that pass to the model server as they are."""

from collections.abc import Mapping

import numpy as np

from serving import signature
from serving.gateway.errors import GatewayError
from serving.images import ImageError, ImageTooLargeError, read_header
from serving.wire import Array


def check_pixels(inputs: Mapping[str, Array], *, most: int) -> None:
    """Refuse images that claim too many pixels. What is not an image is for the server to refuse.

    A few kilobytes may stand for billions of pixels, and a server decodes them.

    Args:
        inputs: of a request, by name; the images are in `signature.INPUT`.
        most: the most pixels of all images together.

    Raises:
        GatewayError: 413, they claim more.
    """
    images = inputs.get(signature.INPUT)
    if images is None or images.dtype != np.object_:
        return
    left = most
    for content in images.reshape(-1).tolist():
        left -= _pixels(content, at_most=most + 1)
        if left < 0:
            text = f"the images have more than {most:,} pixels together; make them smaller, or send fewer at once"
            raise GatewayError(413, text)


def _pixels(content: bytes, *, at_most: int) -> int:
    try:
        header = read_header(content)
    except ImageTooLargeError:
        return at_most
    except ImageError:
        return 0
    return header.width * header.height
