"""What an object store is to a bucket: objects by their keys, each written, copied and removed on a condition."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.errors import StorageError
from pipeline.storage.sums import FileSum

# No more than the connections that the libraries' pools keep.
THREADS = 8
# What is read back passes through memory in pieces of this many bytes, one for each thread.
PIECE = 16 << 20
# How often what was there a moment ago, and is gone, is looked for again: generous, for each time someone has written.
LOOKS = 20

# What a store calls the state an object is in: Google a number that grows, Amazon the ETag.
Generation = int | str
# Of an object that is not there.
ABSENT = 0
# Under this name an object says who wrote it.
WRITER = "understudy-writer"

Item = TypeVar("Item")
Result = TypeVar("Result")


class ChangedError(StorageError):
    """The object is not, or no longer, in the generation that was asked for."""


class UnansweredError(StorageError):
    """No final answer in time. A write may have happened or not."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """In seconds. One call lasts at most `retries + connect + answer`, but for content that is still flowing."""

    connect: float = 5.0
    answer: float = 20.0
    # Transient errors are retried for so long, after random pauses that grow up to the longest.
    retries: float = 30.0
    pause: float = 5.0
    # Between two writes of the same object.
    between_writes: float = 1.0


@dataclass(frozen=True)
class Found:
    """An object that was read: `writer` is what its writer called itself."""

    content: bytes
    generation: Generation
    writer: str


@dataclass(frozen=True)
class Listed:
    """An object that was listed."""

    generation: Generation
    size: int
    crc32c: str


class Objects(Protocol):
    """By their keys. Safe to use from many threads."""

    @property
    def address(self) -> str:
        """Of the bucket, with the prefix below which all keys are."""

    def find(self, key: str) -> Found | None:
        """What is there now, and no cache's idea of it."""

    def write(self, key: str, content: bytes, *, generation: Generation, writer: str = "") -> None:
        """Store `content` where the object still is in `generation`.

        Raises:
            ChangedError: it is in another one now, maybe because of this very write, whose answer was lost.
            UnansweredError: whether it was written is not known.
        """

    def names(self, key: str) -> list[str]:
        """The names directly under the folder `key`, sorted."""

    def listed(self, key: str) -> dict[str, Listed]:
        """Every file below the folder `key`, by its path in that folder."""

    def generations(self, key: str) -> dict[str, Generation]:
        """As `listed`, where nothing but the generations is wanted."""

    def sum(self, key: str, listed: Listed) -> FileSum:
        """Of every byte of the object, in what generation it may be by now."""

    def download(self, key: str, listed: Listed, path: Path) -> None:
        """Write the content of the object, in the generation that was listed, to a file of this machine.

        Raises:
            StorageError: it is in another generation now, or is gone.
            OSError: this machine cannot write the file.
        """

    def upload(self, files: Mapping[str, Path]) -> dict[str, StorageError]:
        """Store each file under its key unless something is there; what went wrong, by key."""

    def rewrite(self, source: str, original: Listed, key: str) -> None:
        """Copy an object inside the store, unless something is there.

        Raises:
            ChangedError: something is, or the original is in another generation now.
            UnansweredError: whether it was copied is not known.
        """

    def remove(self, key: str, generation: Generation) -> None:
        """Remove the object where it still is in `generation`.

        Raises:
            ChangedError: it is in another one now.
            MissingError: it is not there, maybe because of this very call.
        """

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """As `Bucket.tidy`."""


def never_at_rest(key: str) -> StorageError:
    """What is said after `LOOKS` looks at an object that was another one each time."""
    return StorageError(f"cannot read {key}: it changed {LOOKS} times meanwhile; try again")


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results in order. After a failure nothing more is begun."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))
