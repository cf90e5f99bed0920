"""Small files in the formats of the published data sets."""

import gzip
import io
import struct
import tarfile
from collections.abc import Mapping
from typing import Any

import numpy as np

NAMES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


def pixels(count: int, *shape: int, seed: int = 0) -> "np.ndarray":
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), "uint8")


def npz(**arrays: "np.ndarray") -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


def idx(array: "np.ndarray") -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


def batch(images: "np.ndarray", labels: list[int]) -> bytes:
    """A pickle as Python 2 wrote it: protocol 2, and texts as 8-bit strings (U, T), which Python 3 never writes."""
    return b"".join(
        [
            b"\x80\x02}q\x01(",
            _text(b"batch_label"),
            _text(b"training batch 1 of 5"),
            _text(b"labels"),
            b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e",
            _text(b"data"),
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01" + b"".join(b"J" + struct.pack("<i", size) for size in images.shape) + b"\x86",
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<i", images.nbytes) + images.tobytes() + b"tb",
            _text(b"filenames"),
            b"](" + _text(b"cat_s_000001.png") * len(labels) + b"e",
            b"u.",
        ]
    )


def _text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


def cifar_batches(count: int = 3) -> dict[str, tuple["np.ndarray", list[int]]]:
    """Images and classes by the name of the batch."""
    return {
        name: (pixels(count, 3072, seed=number), [(number + place) % 10 for place in range(count)])
        for number, name in enumerate(NAMES)
    }


def cifar_archive(batches: Mapping[str, bytes], folder: str = "cifar-10-batches-py", **member: Any) -> bytes:
    """The archive, in another order than that of the numbers, as the published one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in reversed(list(batches.items())):
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            for attribute, value in member.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()
