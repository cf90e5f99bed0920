"""Files below a root, on disk or in an object store."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

Report = Callable[[str, str], None]


class UnreadableError(Exception):
    """One file cannot be read; the text is the end of a sentence: `cannot be read: Permission denied`."""


class Found(NamedTuple):
    """A file that was listed, as in `pipeline.data.source.Entry`."""

    name: str
    size: int
    stamp: str


class Tree(Protocol):
    """Files below a root. Safe to use from many threads."""

    @property
    def address(self) -> str:
        """Where the root is: an absolute path, `gs://...` or `s3://...`."""

    def files(self, report: Report) -> Iterator[Found]:
        """Every file, in the lexical order of the names."""

    def find(self, name: str) -> Found:
        """One file, without a listing. Raises UnreadableError."""

    def read(self, name: str) -> bytes:
        """The content of a file. Raises UnreadableError."""

    def open(self, name: str) -> BinaryIO:
        """The content of a file as a stream. Raises UnreadableError."""

    def shown(self, name: str) -> str:
        """The name as people know it."""
