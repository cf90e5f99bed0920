"""CIFAR-10: small photographs, 32x32 in colour, as `keras.datasets.cifar10` has them."""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pipeline.data.sources.builtin.batches import read_batch
from pipeline.data.sources.builtin.data_set import DataSet, Drawn, FormatError, PublishedFile
from pipeline.data.sources.builtin.labelled import drawn
from pipeline.data.sources.gzip_start import is_gzip

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# URL and SHA-256 as in keras/src/datasets/cifar10.py.
_FILE = PublishedFile(
    name="cifar-10-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    size=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
_FOLDER = "cifar-10-batches-py"
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
# A batch of 10,000 images has 31 MB.
_MOST_BYTES = 1 << 28


def _draw(part: str, files: Sequence[Path]) -> Iterator[Drawn]:
    for stream in _streams(part, files):
        with stream:
            pixels, classes = read_batch(stream)
        if pixels.ndim != 2 or pixels.shape[1] != 3 * 32 * 32:
            raise FormatError(f"holds images of the shape {pixels.shape}; expected is (images, 3072)")
        # Each image is stored as three planes: red, green, blue.
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        yield from drawn(images, classes, shape=(32, 32, 3), names=NAMES)


def _streams(part: str, files: Sequence[Path]) -> Iterator[IO[bytes]]:
    """The batches of a part in their order: from the published archive, or from its extracted files."""
    if len(files) == 1 and _is_gzip(files[0]):
        yield from _members(part, files[0])
        return
    for file in files:
        yield file.open("rb")


def _members(part: str, archive: Path) -> Iterator[IO[bytes]]:
    with tarfile.open(archive, "r:gz") as tar:
        for name in _BATCHES[part]:
            try:
                member = tar.getmember(f"{_FOLDER}/{name}")
            except KeyError:
                raise FormatError(f"has no {_FOLDER}/{name}") from None
            stream = tar.extractfile(member) if member.isfile() and member.size <= _MOST_BYTES else None
            if stream is None:
                raise FormatError(f"has a {_FOLDER}/{name} that is not a batch of CIFAR-10")
            yield stream


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as stream:
        return is_gzip(stream.read(2))


CIFAR10 = DataSet(
    name="cifar10", files={"train": (_FILE,), "test": (_FILE,)}, draw=_draw, loose=_BATCHES, folder=_FOLDER
)
