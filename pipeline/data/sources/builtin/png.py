"""Encode small images as PNG, with the same bytes in each version of every library.

The split of an image follows from its bytes, so they may never change. What zlib compresses to differs between its
versions; uncompressed blocks of the deflate format (RFC 1951, 3.2.4) do not. The file is a PNG by RFC 2083.
"""

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
_MOST = 0xFFFF


def encode(pixels: "np.ndarray") -> bytes:
    """A PNG of 8 bits.

    Args:
        pixels: bytes (`uint8`) of the shape (height, width) for grey or (height, width, 3) for RGB; at most 65,535
            with one more for each row.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    # The 0 before each row: it is not filtered.
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _stored(content: bytes) -> bytes:
    """A zlib stream (RFC 1950) of one uncompressed block."""
    size = len(content)
    return b"\x78\x01\x01" + struct.pack("<HH", size, size ^ _MOST) + content + struct.pack(">I", zlib.adler32(content))
