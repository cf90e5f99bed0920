"""A fingerprint of what a picture shows: pictures that look alike have fingerprints that differ in few bits.

The hash is the DCT hash of Christoph Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions"
(2010), with one change: the 64 low frequencies of the picture in 32 x 32 grey values are compared with 0, and not with
their median, which makes all distances even. docs/images.md says how well it does.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Below it, different pictures have the same fingerprint too often: too little of them is left.
LEAST_SIDE = 64
_SIDE = 32
_LOW = slice(1, 9)  # without frequency 0, which is the brightness
# A pattern with an amplitude of 1/16 of a grey value, out of 255: below it, noise and rounding decide the signs.
_LEAST_MEDIAN = 16.0


def perceptual_hash(picture: Any) -> int | None:
    """The fingerprint, an unsigned integer of 64 bits; None for a picture that has none.

    These are pictures with a side below 64 pixels, and those that show too little: a single colour, or a gradient.

    Args:
        picture: a Pillow image in mode L or RGB.
    """
    from PIL import Image  # noqa: PLC0415 - only new images are looked at

    if min(picture.size) < LEAST_SIDE:
        return None
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.HAMMING, reducing_gap=3.0).convert("L")
    transform = _transform()
    low = transform @ np.asarray(small, np.float64) @ transform.T
    if np.median(np.abs(low)) < _LEAST_MEDIAN:
        return None
    return int.from_bytes(np.packbits(low.ravel() > 0).tobytes())


@cache
def _transform() -> NDArray[np.float64]:
    """Rows of the DCT-II matrix, those of the low frequencies: `cos(pi (2n + 1) k / 2N)`."""
    frequency, place = np.arange(_SIDE)[_LOW, None], np.arange(_SIDE)
    transform: NDArray[np.float64] = np.cos(np.pi * (2 * place + 1) * frequency / (2 * _SIDE))
    return transform
