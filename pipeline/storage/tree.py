"""Files below a root, to be read: on a disk, in Google Cloud Storage or in S3 (`pipeline.storage.opening.open_tree`).

Listing a tree reads no file. Its memory is bounded by the largest single folder on a disk, and by one page of an answer
in an object store.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

# Called with the path, as people know it, and with what is wrong there, as the end of a sentence: `is empty`.
Report = Callable[[str, str], None]


class UnreadableError(Exception):
    """One file cannot be read; the text is the end of a sentence: `cannot be read: Permission denied`."""


class Found(NamedTuple):
    """A file that was listed. A tuple, because there are millions.

    Attributes:
        name: its path below the root, with `/`. It is text that UTF-8 can encode.
        size: in bytes.
        stamp: changes whenever the content does. On a disk: the time of the last change, in nanoseconds; in Google
            Cloud Storage: the CRC32C; in S3: the ETag. Empty: not known.
    """

    name: str
    size: int
    stamp: str


class Tree(Protocol):
    """Files below a root. Safe to use from many threads.

    Every method raises `StorageError` if the storage gives no answer or refuses everything, after it has retried
    transient errors.
    """

    @property
    def address(self) -> str:
        """Where the root is: an absolute path, `gs://...` or `s3://...`."""

    def files(self, report: Report) -> Iterator[Found]:
        """Every file below the root, in the lexical order of the full names.

        What systems and tools leave there is skipped, and said in one line of the log at the end. What is not a file
        that can be read is reported: broken links, links that lead out of the root, names that are not UTF-8.

        Raises:
            BadInputError: a disk has no such folder, or it may not be read. An object store has no folders, so one that
                does not exist is empty.
        """

    def sample(self, limit: int) -> list[str]:
        """The names of up to `limit` files, in any order, for a first look at what they are. It costs little.

        A root that does not exist, or may not be read, has none.
        """

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders directly in the folder `below`, sorted; as `files` would enter them.

        Empty if there is no such folder.
        """

    def find(self, name: str) -> Found:
        """One file, without a listing.

        Raises:
            UnreadableError: it does not exist, or is not a file that can be read.
        """

    def read(self, name: str, *, stamp: str = "") -> bytes:
        """The content of a file.

        Args:
            name: as it was listed.
            stamp: as it was listed, if it was. The content is not older than it, even if a cache answers.

        Raises:
            UnreadableError: it does not exist, or cannot be read.
        """

    def open(self, name: str) -> BinaryIO:
        """The content of a large file as a stream, which can also be read from any position. The caller closes it.

        Raises:
            UnreadableError: it does not exist, or cannot be read; in an object store a read of the stream may raise it
                too, if the file is replaced meanwhile.
        """

    def shown(self, name: str) -> str:
        """A file's name as people know it: a path or an address, as text that UTF-8 can encode."""
