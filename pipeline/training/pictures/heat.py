"""Attributions as colours over the picture that they are about."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FOR = np.array([0.84, 0.12, 0.10])
_AGAINST = np.array([0.10, 0.30, 0.85])
# A few pixels have much more than all others; scaled by them, nothing else could be seen.
_FULL_COLOUR_PERCENTILE = 99.5
# Single pixels of a large picture are dots that nobody can read: parts of about so many to a side are averaged.
_PARTS = 56


def grey_or_rgb(pixels: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """A picture (height, width, channels) in [0, 1] as RGB: grey with its one channel three times."""
    inside = np.clip(pixels.astype(np.float64), 0, 1)
    rgb: NDArray[np.float64] = np.broadcast_to(inside, (*inside.shape[:2], 3))
    return rgb


def heat_over(pixels: NDArray[np.floating[Any]], attributions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The picture in pale grey; red where it speaks for the class, blue where it speaks against it.

    Args:
        pixels: (height, width, channels) in [0, 1].
        attributions: of the same shape; the channels are summed, and small neighbourhoods averaged.

    Returns:
        RGB in [0, 1], (height, width, 3).
    """
    values = smooth(attributions.sum(axis=2), width=max(1, min(pixels.shape[:2]) // _PARTS))
    full = np.percentile(np.abs(values), _FULL_COLOUR_PERCENTILE)
    # The root makes smaller attributions visible too.
    strength = np.sqrt(np.clip(np.abs(values) / full, 0, 1)) if full > 0 else np.zeros_like(values)
    colours = np.where(values[:, :, None] > 0, _FOR, _AGAINST)
    pale = 0.35 + 0.6 * grey_or_rgb(pixels).mean(axis=2, keepdims=True)
    mixed: NDArray[np.float64] = pale * (1 - strength[:, :, None]) + colours * strength[:, :, None]
    return mixed


def smooth(values: NDArray[np.floating[Any]], *, width: int) -> NDArray[np.float64]:
    """The mean of the `width` x `width` neighbours of each value, (height, width); 0 outside."""
    kernel = np.full(width, 1 / width)
    rows = np.apply_along_axis(np.convolve, 0, values, kernel, mode="same")
    smoothed: NDArray[np.float64] = np.apply_along_axis(np.convolve, 1, rows, kernel, mode="same")
    return smoothed
