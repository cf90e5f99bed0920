"""How the C library keeps the memory of large bodies and pictures."""

import ctypes

# Of mallopt(3).
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_LARGE_BLOCK = 2**20
_ARENAS = 2


def return_large_blocks() -> None:
    """Have the memory of a large block returned to the system as soon as it is free.

    By default glibc keeps it for the next one, in an arena for each thread: a gateway that needs 250 MiB for a moment
    would keep as much, and twice that after some time. Other C libraries have no such settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
    mallopt(_ARENA_MAX, _ARENAS)
