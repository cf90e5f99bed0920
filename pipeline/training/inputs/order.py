"""In which order an epoch sees the images."""

import numpy as np
from numpy.typing import NDArray


def order_of(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of the numbers below `count`, every one of them equally likely, for a seed and an epoch from 0.

    The positions are sorted by random numbers of 64 bits. NumPy promises for these that each of its versions gives the
    same, and does not promise it for its own shuffle.
    """
    drawn = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(count)
    return np.argsort(drawn, kind="stable")
