"""Many small images on a disk, and what anybody pays to list them."""

import hashlib
import os
import struct
import time
import zlib
from pathlib import Path

from pipeline.spec import Data, Image, ModelSpec, Training

LABELS = 10
EDGE = 16
# In seconds. A file that has just been changed may change again within the same tick of the clock, so it is read again.
_AGE = 3600


def write_images(folder: Path, count: int, *, first: int = 0) -> None:
    """Write so many PNG files in colour, each with another content; `first` is the number of the first one."""
    for label in range(LABELS):
        (folder / f"label {label}").mkdir(parents=True, exist_ok=True)
    written_at = time.time() - _AGE
    for number in range(first, first + count):
        path = image_path(folder, number)
        path.write_bytes(encoded(number))
        os.utime(path, (written_at, written_at))


def remove_images(folder: Path, count: int, *, first: int) -> None:
    """Remove what `write_images` has written."""
    for number in range(first, first + count):
        image_path(folder, number).unlink()


def image_path(folder: Path, number: int) -> Path:
    return folder / f"label {number % LABELS}" / f"{number:08d}.png"


def encoded(number: int) -> bytes:
    """A PNG of pixels that look random, and are the same in each run."""
    line = EDGE * 3
    pixels = hashlib.shake_128(str(number).encode()).digest(EDGE * line)
    lines = b"".join(b"\0" + pixels[start : start + line] for start in range(0, len(pixels), line))
    head = struct.pack(">IIBBBBB", EDGE, EDGE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def spec_of(address: str) -> ModelSpec:
    """A model of the images at an address."""
    return ModelSpec(
        name="many",
        description="many images",
        owner="understudy",
        data=Data(images=address),
        image=Image(height=EDGE, width=EDGE),
        training=Training(epochs=1),
    )


def list_plainly(folder: str | os.PathLike[str]) -> int:
    """A bare recursive listing with the size and time of each file: the least that shows a change."""
    found = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += list_plainly(entry.path)
            else:
                status = entry.stat(follow_symlinks=False)
                found += bool(status.st_size and status.st_mtime_ns)
    return found
