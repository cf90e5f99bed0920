"""Keep or convert: the bytes of a PNG or JPEG that shows what a given file shows. The rules are in docs/images.md."""

import io
from dataclasses import dataclass
from typing import Any

from serving.images.colours import flat, stored_as
from serving.images.header import Header, header_of, opened, orientation_of
from serving.images.png_chunks import SIGNATURE, checked_chunks, has_late_orientation

# Raised by one whenever a rule changes: images that are stored remember by which rules.
RULES = 1

# Of a PNG: the start of the chunk with its size, which the served graph wants to be the first, and behind the size the
# bit depth and the colour type.
_FIRST_CHUNK = b"\0\0\0\rIHDR"
_GREY_OR_RGB = (b"\x08\x00", b"\x08\x02")
# A first generation of loss at this quality, without subsampling, is invisible; a PNG would be five times as large.
_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PNG = {"format": "PNG"}


@dataclass(frozen=True)
class Prepared:
    """An image that the served graph decodes.

    Attributes:
        content: a PNG or JPEG: the given bytes, or what they were converted to.
        suffix: `.png` or `.jpg`.
        width: in pixels, upright.
        height: likewise.
        is_converted: whether the content differs from what was given.
        picture: the pixels as a Pillow image in mode L or RGB, upright. Of a converted JPEG they are those from before
            it was encoded again.
    """

    content: bytes
    suffix: str
    width: int
    height: int
    is_converted: bool
    picture: Any


def prepare(content: bytes) -> Prepared:
    """Decode an image file to its end, and convert it if the served graph would not show what it shows.

    The same bytes give the same result each time.

    Raises:
        ImageError: it cannot be used; says why and what to do.
    """
    readable = checked_chunks(content) if content.startswith(SIGNATURE) else content
    with opened(readable) as picture:
        header, stored, is_plain = header_of(picture), stored_as(picture), _is_plain(picture, content)
        picture.load()
        # Again, because the orientation of a PNG may stand behind its pixels.
        orientation = orientation_of(picture) if header.format == "PNG" else header.orientation
        if is_plain and orientation == 1:
            return _prepared(content, picture, header, is_converted=False)
        upright = _turned(flat(picture, stored=stored), orientation)
        return _prepared(_encoded(upright, header), upright, header, is_converted=True)


def examine(content: bytes) -> tuple[Header, bool]:
    """The header of an image file, and whether the served graph shows what it shows without `prepare`.

    No pixel is decoded, so a file that is cut off or damaged behind its header is found only when it is decoded.

    Raises:
        ImageError: see `read_header`.
    """
    with opened(content) as picture:
        header = header_of(picture)
        is_plain = header.orientation == 1 and _is_plain(picture, content)
        return header, is_plain and not (header.format == "PNG" and has_late_orientation(content))


def _prepared(content: bytes, picture: Any, header: Header, *, is_converted: bool) -> Prepared:
    return Prepared(
        content=content,
        suffix=".jpg" if header.format == "JPEG" else ".png",
        width=picture.width,
        height=picture.height,
        is_converted=is_converted,
        picture=picture,
    )


def _is_plain(picture: Any, content: bytes) -> bool:
    """Whether TensorFlow decodes it to the same pixels as it is, apart from its orientation."""
    if picture.format == "PNG":
        starts_right = content.startswith(_FIRST_CHUNK, len(SIGNATURE))
        return starts_right and content[24:26] in _GREY_OR_RGB and "transparency" not in picture.info
    return picture.format in ("JPEG", "MPO") and picture.mode in ("L", "RGB")


def _turned(picture: Any, orientation: int) -> Any:
    """Turn stored pixels upright, by the EXIF orientation."""
    from PIL.Image import Transpose  # noqa: PLC0415 - see the package

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _encoded(picture: Any, header: Header) -> bytes:
    stream = io.BytesIO()
    # Otherwise Pillow would write the colour profile, the comment and the transparency of the original.
    picture.info.clear()
    picture.save(stream, **(_JPEG if header.format == "JPEG" else _PNG))
    return stream.getvalue()
