"""Files below a prefix of an object store."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from pipeline.errors import MissingError
from pipeline.storage.objects import ChangedError
from pipeline.storage.range_stream import RangeStream
from pipeline.storage.system_files import Skipped, is_system_name
from pipeline.storage.tree import Found, Report, UnreadableError


class Connected(Protocol):
    """A connection. `address` is that of the store, with the prefix that all names have."""

    address: str


At = TypeVar("At", bound=Connected)


class Reads(ABC, Generic[At]):
    """What a tree needs of a store. Names are relative to the address; every method raises `StorageError`.

    Args:
        at: the connection.
        page: how many names one request lists; stores list 1000 at most.
    """

    def __init__(self, at: At, *, page: int = 1000) -> None:
        self._at = at
        self._page = page

    @property
    def address(self) -> str:
        return self._at.address

    @abstractmethod
    def pages(self) -> Iterator[list[Found]]:
        """All objects, in the order of their names, one answer of the store at a time."""

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """What follows `prefix` in names up to the next slash, where there is one."""

    @abstractmethod
    def find(self, name: str) -> tuple[Found, str]:
        """An object, and its content's identity for `read_range`.

        Raises:
            MissingError: it does not exist.
        """

    @abstractmethod
    def read(self, name: str, stamp: str) -> bytes:
        """The content, with one request unless a cache answers it. For `stamp` see `Tree.read`.

        Raises:
            MissingError: it does not exist.
        """

    @abstractmethod
    def read_range(self, name: str, identity: str, first: int, last: int) -> bytes:
        """The bytes from `first` to `last`, both included.

        Raises:
            ChangedError, MissingError: the object was replaced or removed since `find`.
        """


class ObjectTree:
    """Files below a prefix of an object store; see `pipeline.storage.tree.Tree`."""

    def __init__(self, reads: Reads[Any]) -> None:
        self._reads = reads

    @property
    def address(self) -> str:
        return self._reads.address

    def files(self, report: Report) -> Iterator[Found]:  # noqa: ARG002 - names in a store are text, and nothing is a link
        skipped = Skipped()
        last = ""
        for page in self._reads.pages():
            for found in page:
                # An object whose name ends with a slash is a folder that was made by hand.
                if found.name.endswith("/"):
                    continue
                system = _system_part(found.name)
                if not system:
                    yield found
                elif system != last:
                    last = system
                    skipped.add(system)
        skipped.say(self.address)

    def sample(self, limit: int) -> list[str]:
        page = next(self._reads.pages(), [])
        return [found.name for found in page if not found.name.endswith("/") and not _system_part(found.name)][:limit]

    def folders(self, below: str = "") -> list[str]:
        names = self._reads.folders(f"{below}/" if below else "")
        return sorted(name for name in names if not is_system_name(name))

    def find(self, name: str) -> Found:
        with _readable():
            return self._reads.find(name)[0]

    def read(self, name: str, *, stamp: str = "") -> bytes:
        with _readable():
            return self._reads.read(name, stamp)

    def open(self, name: str) -> BinaryIO:
        with _readable():
            found, identity = self._reads.find(name)

        def fetch(first: int, last: int) -> bytes:
            with _readable():
                return self._reads.read_range(name, identity, first, last)

        return io.BufferedReader(RangeStream(found.size, fetch))

    def shown(self, name: str) -> str:
        return f"{self.address}/{name}"


def _system_part(name: str) -> str:
    """The name up to its first part that a system or a tool has left; empty if there is none."""
    end = 0
    # Most names have none of it, and there are millions of names.
    for part in name.split("/"):
        end += len(part) + 1
        if is_system_name(part):
            return name[: end - 1]
    return ""


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except MissingError as error:
        raise UnreadableError("does not exist") from error
    except ChangedError as error:
        raise UnreadableError("was replaced while it was read; try again") from error
