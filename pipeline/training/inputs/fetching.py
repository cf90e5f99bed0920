"""Encoded images in portions, one of which is fetched while the one before is used."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.integer]
Fetch = Callable[[Positions], list[bytes]]

# In a portion. The bucket may fetch eight at once; at first nothing is known of how large they are.
_FEWEST, _MOST = 8, 512
_PORTION_BYTES = 16 << 20


def fetched(positions: Positions, fetch: Fetch) -> Iterator[tuple[int, bytes]]:
    """Every position with its encoded image, in order. Two portions of about 16 MB are in memory, or of eight images.

    Raises:
        Exception: what `fetch` raises.
    """
    if not len(positions):
        return
    size = _FEWEST
    seen_images = seen_bytes = 0
    with ThreadPoolExecutor(1) as ahead:
        start = min(size, len(positions))
        now = positions[:start]
        waiting = ahead.submit(fetch, now)
        while len(now):
            contents = waiting.result()
            seen_images += len(contents)
            seen_bytes += sum(map(len, contents))
            size = _next_size(size, seen_bytes / seen_images)
            following = positions[start : start + size]
            start += len(following)
            if len(following):
                waiting = ahead.submit(fetch, following)
            yield from zip(now.tolist(), contents, strict=True)
            now = following


def _next_size(size: int, mean_bytes: float) -> int:
    """At most twice as many as before: the first images may be small by chance."""
    fitting = int(_PORTION_BYTES / max(mean_bytes, 1))
    return min(max(fitting, _FEWEST), 2 * size, _MOST)
