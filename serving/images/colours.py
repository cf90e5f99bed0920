"""Any kind of pixel as 8-bit grey or RGB, without alpha: the rules of docs/images.md about colours."""

from typing import Any

from serving.images.header import ImageError

_DEEP = {"I": "32-bit or signed", "F": "floating-point"}
# Where the largest of 16-bit values is below 4,096, the file has 12 bits or fewer, and shows them nearly black.
_LEAST_HIGH_BYTE = 4096 >> 8
_WHITE_IS_ZERO = (262, 0)  # a TIFF tag, PhotometricInterpretation, and its value


def flat(picture: Any, *, stored: str) -> Any:
    """A decoded Pillow picture in mode L or RGB; what is transparent becomes white.

    Args:
        picture: decoded.
        stored: Pillow's name of how the file stores a pixel, from `stored_as`.

    Raises:
        ImageError: there is no rule how to show its values with 8 bits.
    """
    if picture.mode in _DEEP:
        raise ImageError(f"holds {_DEEP[picture.mode]} values, which have no agreed range; convert it to 8 bits")
    if ";16" in stored or picture.mode.startswith("I;16"):
        picture = _of_16_bits(picture)
    else:
        _scale_transparency(picture, stored)
    if picture.mode == "LA" or stored.startswith("LA;"):
        return _on_white(picture).convert("L")
    if picture.has_transparency_data:
        return _on_white(picture)
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    # Of RGB it would be a copy, which takes as much memory again.
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def stored_as(picture: Any) -> str:
    """How the file stores a pixel, such as `RGB;16B`; to be asked before the picture is decoded."""
    return str(picture.tile[0].args).strip("('") if picture.tile else ""


def _of_16_bits(picture: Any) -> Any:
    """The upper byte of each value, which is also what Pillow and TensorFlow take from 16-bit RGB."""
    if "transparency" in picture.info:
        raise ImageError("has 16 bits and a transparent colour; convert it to 8 bits")
    if picture.mode.startswith("I;16"):
        picture = _upper_bytes(picture)
    colours = picture.convert("RGB") if picture.mode == "RGBA" else picture
    if _largest(colours) < _LEAST_HIGH_BYTE:
        raise ImageError(
            "says that it has 16 bits, and all its values are below 4096, as in files of 12 bits or fewer; "
            "stretch them to 16 bits, or convert it to 8 bits"
        )
    return picture


def _upper_bytes(picture: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - see the package
    from PIL import Image  # noqa: PLC0415 - see the package

    values = np.asarray(picture) >> 8
    tag, white = _WHITE_IS_ZERO
    if getattr(picture, "tag_v2", {}).get(tag) == white:
        values = 255 - values
    return Image.fromarray(values.astype(np.uint8))


def _largest(picture: Any) -> int:
    """The largest value of all channels."""
    extrema = picture.getextrema()
    return int(max(high for _, high in extrema) if isinstance(extrema[0], tuple) else extrema[1])


def _scale_transparency(picture: Any, stored: str) -> None:
    """Pillow scales grey of 2 and 4 bits to 8, and forgets the grey that is transparent."""
    bits = {"L;2": 2, "L;4": 4}.get(stored)
    if bits and isinstance(picture.info.get("transparency"), int):
        picture.info["transparency"] = picture.info["transparency"] * 255 // (2**bits - 1)


def _on_white(picture: Any) -> Any:
    from PIL import Image  # noqa: PLC0415 - see the package

    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white
