"""A large object of a store as a stream that reads one piece at a time."""

import io
from collections.abc import Callable
from typing import Any

from pipeline.storage.objects import PIECE


class RangeStream(io.RawIOBase):
    """The content of an object, from any position. One piece is in memory.

    Args:
        size: of the object, in bytes.
        fetch: reads a range, from the first byte to the last one, both included. Its errors leave the stream as they
            are.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._position = 0
        self._start = 0
        self._piece = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        offset = self._position - self._start
        if not 0 <= offset < len(self._piece):
            offset = 0
            self._start = self._position
            self._piece = self._next_piece()
        taken = self._piece[offset : offset + len(view)]
        view[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)

    def _next_piece(self) -> bytes:
        if self._position >= self._size:
            return b""
        return self._fetch(self._position, min(self._position + PIECE, self._size) - 1)
