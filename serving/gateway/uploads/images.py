"""Whether the model can decode what was sent: by the header alone; and converted if not."""

import asyncio
from collections.abc import Sequence

from serving.gateway.errors import GatewayError
from serving.gateway.uploads.named_image import NamedImage
from serving.gateway.uploads.pixels import PixelLimit
from serving.images import ImageError, examine, prepare

# Images are converted in threads: as many at once as leave the event loop its share of two cores.
_CONVERSIONS = 2
_MOST_WAITING = 16


class Converter:
    """Checks images, and converts those that the model does not decode. Belongs to one event loop.

    Args:
        pixels: the most of one request, together.
    """

    def __init__(self, *, pixels: int) -> None:
        self._pixels = pixels
        self._slots = asyncio.Semaphore(_CONVERSIONS)
        self._waiting = 0

    async def decodable(self, images: Sequence[NamedImage]) -> list[bytes]:
        """The images as the model decodes them: as they are, or as PNG or JPEG.

        Raises:
            GatewayError: 422, one of them cannot be used, or there is none; says which, and why. 413, they have too
                many pixels. 503, too many others are being converted.
        """
        if not images:
            raise GatewayError(422, "the request has no image")
        plain = self._examine(images)
        return [
            each.content if is_plain else await self._convert(number, each, len(images))
            for number, (each, is_plain) in enumerate(zip(images, plain, strict=True))
        ]

    async def explain(self, images: Sequence[NamedImage]) -> None:
        """Decode each image, because the model has refused one of them, and say which.

        Raises:
            GatewayError: 422, this one cannot be used, with the reason.
        """
        for number, each in enumerate(images):
            await self._convert(number, each, len(images))

    def _examine(self, images: Sequence[NamedImage]) -> list[bool]:
        """Whether the model decodes each of them as it is."""
        pixels = PixelLimit(self._pixels)
        plain = []
        for number, each in enumerate(images):
            try:
                header, is_plain = examine(each.content)
            except ImageError as error:
                raise _unusable(number, each, len(images), str(error)) from error
            pixels.take(header.width * header.height)
            plain.append(is_plain)
        return plain

    async def _convert(self, number: int, image: NamedImage, count: int) -> bytes:
        if self._waiting >= _MOST_WAITING:
            raise GatewayError(503, "too many images are being converted; try again", retry_after=1)
        self._waiting += 1
        try:
            async with self._slots:
                prepared = await asyncio.to_thread(prepare, image.content)
        except ImageError as error:
            raise _unusable(number, image, count, str(error)) from error
        finally:
            self._waiting -= 1
        return prepared.content


def _unusable(number: int, image: NamedImage, count: int, reason: str) -> GatewayError:
    """`reason` is the end of a sentence, as those of ImageError are."""
    which = repr(image.name[:100]) if image.name else "the image" if count == 1 else f"image {number + 1} of {count}"
    return GatewayError(422, f"{which} {reason}")
