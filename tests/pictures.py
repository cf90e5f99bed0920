"""Image files for the tests: of any format, and such as no program writes."""

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (20, 15), seed: int = 0) -> Image.Image:
    """Each pixel is random; the same for each call."""
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3)).convert(mode)  # noqa: S311


def photograph(size: tuple[int, int] = (160, 120), seed: int = 0) -> Image.Image:
    """Soft colours: as in photographs, the finer a structure, the less there is of it."""
    picture = Image.new("RGB", size, "grey")
    for octave in range(5, 0, -1):
        layer = noise(size=(4 * 2**octave // 2, 3 * 2**octave // 2), seed=100 * seed + octave)
        picture = Image.blend(picture, layer.resize(size, Image.Resampling.BICUBIC), 0.5)
    return picture


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    size: tuple[int, int], rows: bytes, *, bits: int, colours: int, before: bytes = b"", behind: bytes = b""
) -> bytes:
    """A PNG by hand.

    Args:
        size: width and height.
        rows: the scan lines, each after its filter byte.
        bits: of a channel.
        colours: the colour type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
        before: chunks before the pixels.
        behind: chunks behind them.
    """
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colours, 0, 0, 0))
    return PNG_SIGNATURE + header + before + chunk(b"IDAT", zlib.compress(rows, 9)) + behind + chunk(b"IEND", b"")


def png_bomb(side: int = 20_000) -> bytes:
    """48 kB that are 400,000,000 pixels, whole and valid."""
    return png((side, side), bytes((side // 8 + 1) * side), bits=1, colours=0)


def jpeg_bomb(side: int = 20_000) -> bytes:
    """A small JPEG whose header claims 400,000,000 pixels."""
    content = encoded(Image.new("RGB", (16, 16)), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", side, side) + content[place + 4 :]


def gif_bomb(side: int = 20_000) -> bytes:
    content = encoded(Image.new("P", (16, 16)), "GIF")
    return content[:6] + struct.pack("<HH", side, side) + content[10:]


def bmp_bomb(side: int = 20_000) -> bytes:
    content = encoded(Image.new("1", (16, 16)), "BMP")
    return content[:18] + struct.pack("<ii", side, side) + content[26:]


def webp_bomb(side: int = 16_000) -> bytes:
    """A lossless WebP whose header claims 256,000,000 pixels."""
    content = encoded(Image.new("RGB", (16, 16)), "WEBP", lossless=True)
    place = content.index(b"VP8L") + 9
    bits = int.from_bytes(content[place : place + 4], "little") & ~(2**28 - 1) | (side - 1) | (side - 1) << 14
    return content[:place] + struct.pack("<I", bits) + content[place + 4 :]


def tiff_bomb(side: int = 20_000) -> bytes:
    """A TIFF whose only strip is short: tags 256 and 257 are its size."""
    content = bytearray(encoded(Image.new("L", (16, 16)), "TIFF"))
    directory = int.from_bytes(content[4:8], "little")
    for number in range(int.from_bytes(content[directory : directory + 2], "little")):
        place = directory + 2 + 12 * number
        if int.from_bytes(content[place : place + 2], "little") in (256, 257):
            content[place + 2 : place + 12] = struct.pack("<HII", 4, 1, side)
    return bytes(content)
