"""The images of one split as arrays: what training and evaluation keep of each image, about 40 bytes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class Rows:
    """The images of a split, in the order of the contents of their files.

    Attributes:
        digests: uint8 (images, 32): the SHA-256 of each encoded image as it is stored.
        suffixes: bytes (images,): the suffix of its file, with the dot.
        classes: int32 (images,): the number of its label, in the order of the labels of the snapshot.
    """

    digests: NDArray[np.uint8]
    suffixes: NDArray[np.bytes_]
    classes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.classes)

    def names(self, positions: Iterable[int]) -> list[tuple[str, str]]:
        """The SHA-256 in hexadecimal, and the suffix, of the images at these positions."""
        return [(self.digests[each].tobytes().hex(), self.suffixes[each].decode("ascii")) for each in positions]
