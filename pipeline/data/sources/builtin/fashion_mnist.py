"""Fashion-MNIST: clothes, 28x28 in grey, as `keras.datasets.fashion_mnist` has them."""

import gzip
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.sources.builtin.data_set import DataSet, Drawn, FormatError, PublishedFile
from pipeline.data.sources.builtin.labelled import drawn

if TYPE_CHECKING:
    import numpy as np

NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# The URLs are in keras/src/datasets/fashion_mnist.py, without checksums. The SHA-256 are those that TensorFlow Datasets
# publishes for the same files (tensorflow_datasets/url_checksums/fashion_mnist.txt).
_FOLDER = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def _file(name: str, size: int, sha256: str) -> PublishedFile:
    return PublishedFile(name, _FOLDER + name, size, sha256)


_TRAIN = (
    _file("train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    _file("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
)
_TEST = (
    _file("t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    _file("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


def _draw(_part: str, files: Sequence[Path]) -> Iterator[Drawn]:
    images, labels = files
    return drawn(_array(images, 3), _array(labels, 1), shape=(28, 28), names=NAMES)


def _array(path: Path, dimensions: int) -> "np.ndarray":
    """The array of bytes in an IDX file: two zeros, 8 for bytes, the number of dimensions, and the sizes of them."""
    import numpy as np  # noqa: PLC0415 - only when a part is drawn

    with gzip.open(path, "rb") as file:
        header = file.read(4 + 4 * dimensions)
        if header[:4] != bytes([0, 0, 8, dimensions]) or len(header) < 4 + 4 * dimensions:
            raise FormatError(f"holds {path.name}, which is not an IDX file of bytes with {dimensions} dimensions")
        shape = struct.unpack(f">{dimensions}I", header[4:])
        size = math.prod(shape)
        # Read to the end, where GZIP has its checksum. A shape that is wrong asks for no memory.
        content = file.read()
    if len(content) != size:
        raise FormatError(f"holds {path.name} with {len(content)} bytes instead of {size}")
    return np.frombuffer(content, "uint8").reshape(shape)


FASHION_MNIST = DataSet(name="fashion_mnist", files={"train": _TRAIN, "test": _TEST}, draw=_draw)
