"""The checksums and the end of a PNG, which Pillow does not look at while it decodes pixels."""

import zlib
from collections.abc import Iterator

from serving.images.header import AGAIN, ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def checked_chunks(content: bytes) -> bytes:
    """A PNG without what libpng skips: damaged chunks that no decoder needs, at which Pillow would stop.

    Raises:
        ImageError: its end is missing, or a chunk that a decoder needs is damaged.
    """
    pieces, kept_to = [], 0
    for start, end in _damaged(content):
        pieces.append(content[kept_to:start])
        kept_to = end
    return b"".join([*pieces, content[kept_to:]]) if pieces else content


def _damaged(content: bytes) -> Iterator[tuple[int, int]]:
    """Where damaged chunks that no decoder needs start and end; their names begin with a lower case letter."""
    view, start = memoryview(content), len(SIGNATURE)
    while not content.startswith(_END, start):
        name, checksum_at = content[start + 4 : start + 8], start + 8 + int.from_bytes(content[start : start + 4])
        end = checksum_at + 4
        if end > len(content):
            raise ImageError(f"is cut off: its end is missing; {AGAIN}")
        if zlib.crc32(view[start + 4 : checksum_at]) != int.from_bytes(view[checksum_at:end]):
            if not name[:1].islower():
                raise ImageError(f"is damaged: the checksum of its chunk {name.decode('latin-1')!r} differs; {AGAIN}")
            yield start, end
        start = end


def has_late_orientation(content: bytes) -> bool:
    """Whether EXIF data stand behind the first pixels of a PNG, where its header does not show them."""
    start, pixels = len(SIGNATURE), False
    while start + 8 <= len(content):
        name = content[start + 4 : start + 8]
        if pixels and name in (b"eXIf", b"zTXt", b"tEXt", b"iTXt"):
            return True
        pixels |= name == b"IDAT"
        start += 12 + int.from_bytes(content[start : start + 4])
    return False
