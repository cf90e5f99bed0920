"""Many encoded images, on a disk or made when they are fetched, and their rows."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from pipeline.runs.rows import Rows

CLASSES = 10
LABELS = tuple(str(number) for number in range(CLASSES))


def encoded(number: int, edge: int) -> bytes:
    """A JPEG in colour of soft noise, each with another content."""
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Picture.fromarray(noise).resize((edge, edge), Picture.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def rows_of(digests: list[bytes]) -> Rows:
    """Rows with the classes 0, 1, ... in turn."""
    return Rows(
        digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        suffixes=np.full(len(digests), b".jpg"),
        classes=(np.arange(len(digests)) % CLASSES).astype(np.int32),
    )


class Files:
    """Images in a folder, fetched as from a bucket on a disk: read one after the other, and compared by SHA-256."""

    def __init__(self, folder: Path, count: int, *, edge: int) -> None:
        folder.mkdir()
        self.paths = [folder / f"{number}.jpg" for number in range(count)]
        digests = []
        for number, path in enumerate(self.paths):
            content = encoded(number, edge)
            path.write_bytes(content)
            digests.append(hashlib.sha256(content).digest())
        self.rows = rows_of(digests)

    def first(self, count: int) -> Rows:
        """The rows of the first so many."""
        return Rows(self.rows.digests[:count], self.rows.suffixes[:count], self.rows.classes[:count])

    def fetch(self, positions: NDArray[np.integer]) -> list[bytes]:
        contents = []
        for position in positions:
            content = self.paths[position].read_bytes()
            if hashlib.sha256(content).digest() != self.rows.digests[position].tobytes():
                raise RuntimeError(f"{self.paths[position]} has changed")
            contents.append(content)
        return contents


class Made:
    """Images that take no memory and no disk: each is made when it is fetched."""

    def __init__(self, count: int, *, edge: int) -> None:
        self._edge = edge
        self.rows = rows_of([hashlib.sha256(encoded(number, edge)).digest() for number in range(count)])

    def fetch(self, positions: NDArray[np.integer]) -> list[bytes]:
        return [encoded(int(position), self._edge) for position in positions]
