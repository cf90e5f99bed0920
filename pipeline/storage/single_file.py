"""One file as a tree."""

from collections.abc import Iterator
from typing import BinaryIO

from pipeline.errors import BadInputError
from pipeline.storage.tree import Found, Report, Tree, UnreadableError


class SingleFileTree:
    """The one file `name` of another tree; see `pipeline.storage.tree.Tree`. `setting` is for messages."""

    def __init__(self, tree: Tree, name: str, *, setting: str) -> None:
        self._tree = tree
        self._name = name
        self._setting = setting

    @property
    def address(self) -> str:
        return self._tree.shown(self._name)

    def files(self, report: Report) -> Iterator[Found]:  # noqa: ARG002 - a single file is found, or nothing can be done
        try:
            yield self._tree.find(self._name)
        except UnreadableError as error:
            raise BadInputError(f"{self._setting}: {self.address} {error}; correct the path") from error

    def sample(self, limit: int) -> list[str]:
        return [self._name][:limit]

    def folders(self, below: str = "") -> list[str]:  # noqa: ARG002 - there are none
        return []

    def find(self, name: str) -> Found:
        return self._tree.find(name)

    def read(self, name: str) -> bytes:
        return self._tree.read(name)

    def open(self, name: str) -> BinaryIO:
        return self._tree.open(name)

    def shown(self, name: str) -> str:
        return self._tree.shown(name)
