"""Whether the model can decode what was sent: by the header alone; and converted if not."""

import asyncio
from collections.abc import Sequence
from threading import Semaphore

from serving.gateway.errors import GatewayError
from serving.gateway.offload import LARGE_UPLOAD, Threads, in_thread_if_large
from serving.gateway.uploads.named_image import NamedImage
from serving.gateway.uploads.pixels import PixelLimit
from serving.images import Header, ImageError, examine, prepare

# The memory of conversions, in bytes. One thread for the large ones and two for the others bound it to 288 MiB.
LARGEST = 224 * 2**20
SMALL = 32 * 2**20
_MOST_WAITING = 16
# What a conversion takes at its peak, in bytes for each pixel; measured, and rounded up.
_COSTS = {"JPEG": 10, "WEBP": 23}
_COST = 14
_COST_OF_DECODING = 5


class Converter:
    """Checks images, and converts those that the model does not decode.

    Args:
        pixels: the most of one request, together.
    """

    def __init__(self, *, pixels: int) -> None:
        self._pixels = pixels
        self._small, self._large = Threads(2, "converter"), Threads(1, "large-converter")
        self._room = Semaphore(_MOST_WAITING)

    async def decodable(self, images: Sequence[NamedImage]) -> list[bytes]:
        """The images as the model decodes them: as they are, or as PNG or JPEG.

        Raises:
            GatewayError: 422, one of them cannot be used, or there is none; says which, and why. 413, they have too
                many pixels, or one of them too many to be converted. 503, too many others are being converted.
        """
        if not images:
            raise GatewayError(422, "the request has no image")
        size = sum(len(image.content) for image in images)
        examined = await in_thread_if_large(size, lambda: self._examine(images), large=LARGE_UPLOAD)
        costs = [0 if is_plain else cost_of(header) for header, is_plain in examined]
        for number, (image, cost) in enumerate(zip(images, costs, strict=True)):
            if cost > LARGEST:
                raise _too_large(number, image, len(images))
        return [
            await self._convert(number, each, len(images), cost) if cost else each.content
            for number, (each, cost) in enumerate(zip(images, costs, strict=True))
        ]

    async def explain(self, images: Sequence[NamedImage]) -> None:
        """Decode each image, because the model has refused one of them, and say which. Very large ones are left out.

        Raises:
            GatewayError: 422, this one cannot be used, with the reason.
        """
        size = sum(len(image.content) for image in images)
        examined = await in_thread_if_large(size, lambda: self._examine(images), large=LARGE_UPLOAD)
        for number, (each, (header, is_plain)) in enumerate(zip(images, examined, strict=True)):
            cost = header.width * header.height * _COST_OF_DECODING if is_plain else cost_of(header)
            if cost <= LARGEST:
                await self._convert(number, each, len(images), cost)

    def _examine(self, images: Sequence[NamedImage]) -> list[tuple[Header, bool]]:
        """The header of each, and whether the model decodes it as it is."""
        pixels = PixelLimit(self._pixels)
        examined = []
        for number, each in enumerate(images):
            try:
                header, is_plain = examine(each.content)
            except ImageError as error:
                raise _unusable(number, each, len(images), str(error)) from error
            pixels.take(header.width * header.height)
            examined.append((header, is_plain))
        return examined

    async def _convert(self, number: int, image: NamedImage, count: int, cost: int) -> bytes:
        if not self._room.acquire(blocking=False):
            text = "too many images are being converted; try again"
            raise GatewayError(503, text, retry_after=1, shed="conversion")
        job = [image.content]
        work = (self._small if cost <= SMALL else self._large).submit(lambda: prepare(job[0]).content)
        # When the thread is done with it, which may be long after the client has gone.
        work.add_done_callback(lambda _: self._room.release())
        try:
            return await asyncio.wrap_future(work)
        except ImageError as error:
            raise _unusable(number, image, count, str(error)) from error
        finally:
            # What is cancelled stays in the queue of the threads until it would be its turn.
            job.clear()


def cost_of(header: Header) -> int:
    """What the conversion of an image takes at its peak, in bytes."""
    return header.width * header.height * _COSTS.get(header.format, _COST)


def _too_large(number: int, image: NamedImage, count: int) -> GatewayError:
    text = "is too large to be converted; make it smaller, or send it upright, as PNG or JPEG, in 8-bit grey or RGB"
    return GatewayError(413, f"{_which(number, image, count)} {text}")


def _unusable(number: int, image: NamedImage, count: int, reason: str) -> GatewayError:
    """`reason` is the end of a sentence, as those of ImageError are."""
    return GatewayError(422, f"{_which(number, image, count)} {reason}")


def _which(number: int, image: NamedImage, count: int) -> str:
    return repr(image.name[:100]) if image.name else "the image" if count == 1 else f"image {number + 1} of {count}"
