"""Pictures and folders of pictures for tests of the data side."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

# Files that changed a moment ago have no stamp, so tests that look at what is known need older ones.
_AN_HOUR_AGO = 3600


def png(shade: int, size: tuple[int, int] = (4, 4)) -> bytes:
    """A grey picture; of 4 x 4 pixels all shades make files of the same size."""
    stream = io.BytesIO()
    Image.new("L", size, shade).save(stream, format="PNG")
    return stream.getvalue()


def photograph(seed: int, edge: int = 96) -> Image.Image:
    """Something with large and small shapes, so that its perceptual hash is its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((edge, edge), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format=kind, **options)
    return stream.getvalue()


def write_old(path: Path, content: bytes) -> None:
    """Write a file that was changed an hour ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    moment = path.stat().st_mtime - _AN_HOUR_AGO
    os.utime(path, (moment, moment))


def write_classes(folder: Path) -> Path:
    """80 pictures of two labels, cat and dog."""
    for label, shades in {"cat": range(40), "dog": range(100, 140)}.items():
        for shade in shades:
            write_old(folder / label / f"{shade}.png", png(shade))
    return folder
