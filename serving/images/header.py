"""What an image file says about itself in its first bytes, and the limit on it. No pixel is decoded here."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# The same number as Pillow's own limit: 256 MiB of RGB. A few kilobytes can claim to be billions of pixels.
MOST_PIXELS = 89_478_485
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_NAMES = "PNG, JPEG, WebP, BMP, GIF or TIFF"
_ORIENTATION = 0x0112
_SIGNATURES = (b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
# In the text of Pillow's DecompressionBombError, which it raises above twice the limit.
_CLAIMED = re.compile(r"\((\d+) pixels\)")
AGAIN = "copy it again or remove it"


class ImageError(ValueError):
    """A file cannot be used as an image; the text is the end of a sentence: `is empty (0 bytes); remove it`."""


class ImageTooLargeError(ImageError):
    """Its header claims more than `MOST_PIXELS`."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file claim.

    Attributes:
        format: one of `FORMATS`. A JPEG that several pictures follow, as some phones write it (MPO), is a JPEG.
        width: in pixels, of the upright picture.
        height: likewise.
        orientation: how the stored pixels become upright, 1 to 8 as in EXIF; 1 is upright. A PNG may say so behind its
            pixels only, which `prepare` sees. The pixels of a TIFF count as upright: Pillow turns them.
        mode: Pillow's name of the kind of its pixels, such as `RGB` or `I;16`.
    """

    format: str
    width: int
    height: int
    orientation: int
    mode: str


def read_header(content: bytes) -> Header:
    """Read the header of an image file and check the limit on its pixels.

    Raises:
        ImageError: it is not an image of these formats, its header is damaged, or it has more than `MOST_PIXELS`.
    """
    with opened(content) as picture:
        return header_of(picture)


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """A Pillow picture whose size is within the limit and whose pixels are not decoded yet.

    Raises:
        ImageError: see `read_header`; also for whatever Pillow raises while the picture is used.
    """
    if not content:
        raise ImageError(f"is empty (0 bytes); {AGAIN}")
    with _translated(content), _pillow().open(io.BytesIO(content), formats=FORMATS) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise _too_large(f"{picture.width * picture.height:,}")
        yield picture


def header_of(picture: Any) -> Header:
    """The header of a picture that `opened` gave."""
    kind = "JPEG" if picture.format == "MPO" else picture.format
    orientation = 1 if kind == "TIFF" else orientation_of(picture)
    width, height = picture.size[::-1] if orientation >= 5 else picture.size
    return Header(format=kind, width=width, height=height, orientation=orientation, mode=picture.mode)


def orientation_of(picture: Any) -> int:
    """The orientation in the EXIF data that Pillow has read so far; 1 where that is missing or damaged."""
    # Asked for the EXIF data of a PNG, Pillow decodes its pixels first: the data may stand behind them.
    if picture.format == "PNG" and not picture.info.keys() & {"exif", "Raw profile type exif"}:
        return 1
    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - Pillow has no common base for what damaged EXIF data makes it raise
        return 1
    return orientation if orientation in range(1, 9) else 1


@contextmanager
def _translated(content: bytes) -> Iterator[None]:
    """Turn what Pillow raises for a damaged file into ImageError."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - see the package

    try:
        yield
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(_unknown(content)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        claimed = _CLAIMED.search(str(error))
        raise _too_large(f"{int(claimed[1]):,}" if claimed else "more") from error
    except Exception as error:  # Pillow has no common base for what damaged files make it raise
        raise ImageError(_reason(error, content)) from error


def _reason(error: Exception, content: bytes) -> str:
    """What an exception of Pillow means."""
    text = str(error) or type(error).__name__
    # A WebP says how long it is, behind its first 8 bytes.
    is_short = content.startswith(b"RIFF") and int.from_bytes(content[4:8], "little") > len(content) - 8
    if "runcated" in text or is_short:
        return f"is cut off: its end is missing; {AGAIN}"
    if "Decompressed data too large" in text or "Too much memory used in text chunks" in text:
        return "is too large: a text or colour profile in it unpacks to more than 1 MiB; save it without"
    return f"is damaged ({text}); {AGAIN}"


def _too_large(claimed: str) -> ImageError:
    return ImageTooLargeError(
        f"is too large: its header claims {claimed} pixels, the limit is {MOST_PIXELS:,}; make it smaller or remove it"
    )


def _unknown(content: bytes) -> str:
    """Why Pillow did not recognise a file. The cases are those that people meet."""
    start = content.lstrip()[:20].lower()
    if content.startswith(_SIGNATURES):
        return "is damaged in its first bytes, or of a kind that cannot be read; copy it again, convert it or remove it"
    if content[4:8] == b"ftyp":
        return "is a HEIC, AVIF or video file; convert it to JPEG or PNG"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not an image; download the image again"
    if start.startswith(b"version https://git-"):
        return "is a pointer of Git LFS, not an image; run `git lfs pull`"
    return f"is not a {_NAMES} image, whatever its name says; convert it or remove it"


def _pillow() -> Any:
    """Pillow's module `Image`, without its warnings.

    They are about metadata, and about sizes that are checked here. With `warnings.catch_warnings`, which is not safe
    in threads, other filters could get lost.
    """
    from PIL import Image  # noqa: PLC0415 - see the package

    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=_QUIET[3].pattern)
    return Image
