"""What every source of images gives: a listing, and the content of what is listed.

A listing costs no read of an image. An entry is one image, or a shard that holds many: a TFRecord file, or a data set
that is downloaded as a whole. The order of a listing is the same as long as nothing has changed.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pipeline.storage.tree import Report, UnreadableError
from pipeline.verdicts.measurements import Split

__all__ = [
    "BUILTIN",
    "MOST_BYTES",
    "Entry",
    "Record",
    "Report",
    "Source",
    "UnreadableError",
    "record_name",
    "record_of",
    "shard_of",
]

# Addresses of built-in data sets start with it.
BUILTIN = "builtin:"
# Of an image, and of a record of a shard. Images in browsers and from cameras have less. Each thread has one in memory.
MOST_BYTES = 256_000_000
_RECORD = re.compile(r"(.+)#([0-9]{9,})", re.DOTALL)


class Entry(NamedTuple):
    """One image of a source, or one shard. A tuple, because there are millions.

    Attributes:
        name: its path below the root of the source, with `/`; unique in a listing.
        size: in bytes.
        stamp: changes whenever the content does: the time of the last change, or a checksum or ETag that the store
            keeps. Empty: not known, so the content is read each time.
        label: what the image shows; empty for a shard.
        split: the split that the source gives; None if it gives none.
        slices: the values of `data.slices`, in that order; empty strings where the source has none.
    """

    name: str
    size: int
    stamp: str
    label: str = ""
    split: Split | None = None
    slices: tuple[str, ...] = ()


class Record(NamedTuple):
    """One image of a shard, with its content. `number` is its place in the shard, from 0; the rest is as in `Entry`."""

    number: int
    content: bytes
    label: str
    split: Split | None = None
    slices: tuple[str, ...] = ()


class Source(Protocol):
    """Labelled images in one place."""

    @property
    def address(self) -> str:
        """Where it is: an absolute path, `gs://...`, `s3://...` or `builtin:...`."""

    @property
    def is_sharded(self) -> bool:
        """Whether its entries are shards."""

    @property
    def named_splits(self) -> frozenset[Split]:
        """The splits that folders of the source name, also if they have no image. Known when the listing has ended."""

    def entries(self, report: Report) -> Iterator[Entry]:
        """List the source, in an order that depends on its content alone. Memory does not grow with the listing.

        Files that systems and tools leave are skipped, and said in one line of the log. Each other file that cannot be
        an image is reported.

        Raises:
            BadInputError: the source as a whole cannot be used; says what was found, and what was expected.
            StorageError: its storage does not answer.
        """

    def read(self, entry: Entry) -> bytes:
        """The content of an image. Safe to use from many threads.

        Raises:
            UnreadableError: it cannot be read, or is gone.
            StorageError: the storage does not answer, or refuses everything.
        """

    def records(self, shard: Entry, report: Report) -> Iterator[Record]:
        """Every image of a shard. A damaged record is reported, and the rest is read if that is possible.

        Raises:
            UnreadableError: the shard cannot be read, or not to its end.
            StorageError: the storage does not answer.
        """

    def shown(self, name: str) -> str:
        """An entry's name as people know it: a path, an address, or `record 3 of PATH`."""


def record_name(shard: str, number: int) -> str:
    """The name of an image in a shard. Nine digits, so that names sort as the images do."""
    return f"{shard}#{number:09d}"


def record_of(name: str) -> tuple[str, int] | None:
    """The inverse of `record_name`: the shard and the number of an image; None for another name."""
    found = _RECORD.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def shard_of(name: str) -> str:
    """The shard of an image; empty for an image that is in none."""
    record = record_of(name)
    return record[0] if record else ""
