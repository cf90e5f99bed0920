"""What a bucket needs of an object store: objects by key, each written, copied and removed on a condition."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.errors import StorageError
from pipeline.storage.sums import FileSum
from serving.gcs.time_limits import TimeLimits

# No more than the connections in the pools of the libraries.
THREADS = 8
# Large objects are read in pieces of this many bytes; each thread has one in memory.
PIECE = 16 << 20
# How many times an object is looked up again that was replaced between two requests; each time there was a writer.
LOOKS = 20

# How a store names one content of an object: Google by a number that grows, Amazon by the ETag.
Generation = int | str
# The generation of an object that does not exist.
ABSENT = 0
# The name of the metadata that says who wrote an object.
WRITER = "understudy-writer"

Item = TypeVar("Item")
Result = TypeVar("Result")


class ChangedError(StorageError):
    """The object is not in the expected generation, or not any more."""


class UnansweredError(StorageError):
    """No final answer in time. A write may have happened or not."""


@dataclass(frozen=True, kw_only=True)
class CallLimits(TimeLimits):
    """The time limits of one call, the same for every object store, and the pause between writes. In seconds."""

    # Between two writes of the same object.
    between_writes: float = 1.0


@dataclass(frozen=True)
class StoredObject:
    """An object that was read. `writer` is the name that its writer gave itself; empty for none."""

    content: bytes
    generation: Generation
    writer: str


@dataclass(frozen=True)
class Listed:
    """An object that was listed. `size` is in bytes, `crc32c` as in `FileSum`."""

    generation: Generation
    size: int
    crc32c: str


class Objects(Protocol):
    """Objects by key.

    Safe to use from many threads. Every method raises `StorageError` if the store refused or is silent.
    """

    @property
    def address(self) -> str:
        """The address of the bucket, with the prefix that all keys have."""

    def find(self, key: str) -> StoredObject | None:
        """The current object, never one from a cache; None if it does not exist."""

    def write(self, key: str, content: bytes, *, generation: Generation, writer: str = "") -> None:
        """Store `content` if the object is still in `generation` (`ABSENT`: if it does not exist).

        Raises:
            ChangedError: it is in another generation now, perhaps because of this very write, whose answer was lost.
            UnansweredError: it is not known whether it was written.
        """

    def names(self, key: str, *, after: str = "") -> list[str]:
        """As `Bucket.names`."""

    def listed(self, key: str) -> dict[str, Listed]:
        """Every file below the folder `key`, by its path in that folder."""

    def generations(self, key: str) -> dict[str, Generation]:
        """The generation of every file below the folder `key`. It may be cheaper than `listed`."""

    def sum(self, key: str, listed: Listed) -> FileSum:
        """The sum of every byte of the object, also if it is in another generation by now."""

    def download(self, key: str, listed: Listed, path: Path) -> None:
        """Write the content of the object, in the generation that was listed, to a file of this machine.

        Raises:
            StorageError: it is in another generation now, or is gone.
            OSError: this machine cannot write the file.
        """

    def upload(self, files: Mapping[str, Path]) -> dict[str, StorageError]:
        """Store each file under its key unless the key exists; the errors by key."""

    def rewrite(self, source: str, original: Listed, key: str) -> None:
        """Copy an object inside the store to `key`, unless that exists.

        Raises:
            ChangedError: it exists, or the original is in another generation now.
            UnansweredError: it is not known whether it was copied.
        """

    def remove(self, key: str, generation: Generation) -> None:
        """Remove the object if it is still in `generation`.

        Raises:
            ChangedError: it is in another one now.
            MissingError: it does not exist, perhaps because of this very call.
        """

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """As `Bucket.tidy`."""


def never_at_rest(key: str) -> StorageError:
    """The error for an object that had another generation in each of `LOOKS` reads."""
    return StorageError(f"cannot read {key}: it changed {LOOKS} times meanwhile; try again")


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call `function` for every item in `THREADS` threads; the results in order. The first exception is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))
