"""MNIST: handwritten digits, 28x28 in grey, as `keras.datasets.mnist` has them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.data.sources.builtin.data_set import DataSet, Drawn, FormatError, PublishedFile
from pipeline.data.sources.builtin.labelled import drawn

# URL and SHA-256 as in keras/src/datasets/mnist.py.
_FILE = PublishedFile(
    name="mnist.npz",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    size=11_490_434,
    sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
)


def _draw(part: str, files: Sequence[Path]) -> Iterator[Drawn]:
    import numpy as np  # noqa: PLC0415 - only when a part is drawn

    (file,) = files
    with file.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FormatError("is one array, and not an archive of arrays")
        missing = {f"x_{part}", f"y_{part}"} - set(archive.files)
        if missing:
            raise FormatError(f"has no array {' and '.join(sorted(missing))}; it has {', '.join(archive.files)}")
        pixels, classes = archive[f"x_{part}"], archive[f"y_{part}"]
    return drawn(pixels, classes, shape=(28, 28), names="0123456789")


MNIST = DataSet(name="mnist", files={"train": (_FILE,), "test": (_FILE,)}, draw=_draw)
