"""How the C heap is used where one thread loads a model while others answer; glibc only, nothing to do elsewhere.

A load allocates and frees small objects by the hundred thousand. Where it shares an arena with a thread that answers,
the lock of that arena keeps Python's lock waiting, and so every request, for milliseconds; and each time the heap
grows or shrinks, page faults of all threads wait.
"""

import ctypes
import sys
from typing import Any

# From malloc.h.
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# More than there are threads: each has an arena of its own. glibc's default is eight for each core.
ARENAS = 256
# Grown by as much at a time, and asked of the system apart from it only above: the most glibc takes. Untouched pages
# cost nothing.
STEP_BYTES = 32 * 2**20


def prepare_heap() -> None:
    """To be called before there are threads."""
    libc = _glibc()
    if libc is not None:
        for setting, value in ((M_ARENA_MAX, ARENAS), (M_MMAP_THRESHOLD, STEP_BYTES), (M_TOP_PAD, STEP_BYTES)):
            libc.mallopt(setting, value)


def trim_heap() -> None:
    """Hand freed memory back to the system now."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
