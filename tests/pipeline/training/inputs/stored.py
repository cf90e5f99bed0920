"""A split for the tests: small encoded images, as the bucket has them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.runs.rows import Rows
from pipeline.spec import Image
from pipeline.training.inputs.cache import PixelCache
from tests.pictures import encoded, noise

IMAGE = Image(height=4, width=5, channels=3)
IMAGE_BYTES = 4 * 5 * 3
PLENTY = 10**9
LABELS = ("a", "b", "c")


class Stored:
    """Encoded images of noise with the classes 0, 1, 2, 0, ... and what was fetched of them."""

    def __init__(self, count: int, *, first: int = 0) -> None:
        kinds = ("PNG", "JPEG")
        self.contents = [encoded(noise(seed=at, size=(7, 6)), kinds[at % 2]) for at in range(first, first + count)]
        self.fetched: list[int] = []

    def rows(self) -> Rows:
        digests = b"".join(hashlib.sha256(content).digest() for content in self.contents)
        return Rows(
            digests=np.frombuffer(digests, np.uint8).reshape(-1, 32),
            suffixes=np.array([".png", ".jpg"] * len(self.contents), np.bytes_)[: len(self.contents)],
            classes=(np.arange(len(self.contents)) % len(LABELS)).astype(np.int32),
        )

    def fetch(self, positions: Sequence[int] | NDArray[np.integer]) -> list[bytes]:
        self.fetched += [int(each) for each in positions]
        return [self.contents[each] for each in positions]


def digests_of(count: int, *, first: int = 0) -> NDArray[np.uint8]:
    """Of no images at all."""
    found = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(first, first + count))
    return np.frombuffer(found, np.uint8).reshape(-1, 32)


def pixels_of(digests: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels that follow from the digests."""
    return np.tile(digests, 2)[:, :IMAGE_BYTES].reshape(-1, 4, 5, 3)


def opened(folder: Path, *, most_bytes: int = PLENTY) -> PixelCache:
    return PixelCache(folder, "small", image_bytes=IMAGE_BYTES, most_bytes=most_bytes)


def right_and_wrong(cache: PixelCache, digests: NDArray[np.uint8]) -> tuple[list[int], list[int]]:
    """The numbers of the images whose pixels the cache gives, and of those for which it gives others."""
    found = np.zeros((len(digests), IMAGE_BYTES), np.uint8)
    lacking = cache.read(digests, cache.find(digests), found)
    same = (found == pixels_of(digests).reshape(found.shape)).all(axis=1)
    given = [number for number in range(len(digests)) if number not in lacking]
    return [number for number in given if same[number]], [number for number in given if not same[number]]
