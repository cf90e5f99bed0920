"""Check whether an image file can be decoded, before a model is trained on it."""

import io

# The same number as Pillow's own limit. A few kilobytes can claim to be billions of pixels.
MOST_PIXELS = 89_478_485
# The last chunk of every PNG: length, name and checksum. Pillow looks at its name only.
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def decoding_problem(content: bytes, *, channels: int) -> str | None:
    """Why the graph that is served could not decode an image, as the end of a sentence; None if it can.

    Pillow decodes the whole image. TensorFlow, which the graph uses, takes seconds to load and fails for the same
    files: `tests/pipeline/data/test_decoding.py` compares the two.

    Args:
        content: the file.
        channels: 1 for grey, 3 for colour.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only new images are looked at

    if not content:
        return "is empty (0 bytes); copy it again or remove it"
    try:
        mode = _decoded_mode(content)
    except UnidentifiedImageError:
        return "is not a PNG or JPEG image, although its name says so; convert it or remove it"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"is too large: the limit is {MOST_PIXELS:,} pixels; make it smaller or remove it"
    except Exception as error:  # noqa: BLE001 - Pillow has no common base for what damaged files make it raise
        return f"cannot be decoded ({error}); copy it again or remove it"
    if mode == "CMYK" and channels == 1:
        return "is a CMYK image, which TensorFlow cannot decode with image.channels 1; convert it to grey or RGB"
    return None


def _decoded_mode(content: bytes) -> str:
    """Decode the whole image; Pillow's name for its colours. Raises whatever Pillow raises if it cannot."""
    from PIL import Image  # noqa: PLC0415 - see above

    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        if image.format == "PNG" and _PNG_END not in content:
            raise OSError("its end is missing")
        # The checksums of a PNG, which decoding its pixels does not need. The image cannot be used afterwards.
        image.verify()
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        image.load()
        return str(image.mode)
