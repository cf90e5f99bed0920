"""A tree of files for the tests of sources: a folder of this machine, also under the address of an object store."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.storage.tree import Found, Report, UnreadableError


class FolderTree:
    """Files below a folder. `looked_up` has the names that `find` was asked for."""

    def __init__(self, root: Path, address: str = "") -> None:
        self.address = address or str(root)
        self._root = root
        self.looked_up: list[str] = []

    def files(self, report: Report) -> Iterator[Found]:
        paths = [path for path in self._root.rglob("*") if path.is_file()]
        for name in sorted(path.relative_to(self._root).as_posix() for path in paths):
            yield self._found(name)

    def sample(self, limit: int) -> list[str]:
        return sorted(path.name for path in self._root.rglob("*") if path.is_file())[:limit]

    def folders(self, below: str = "") -> list[str]:
        return sorted(path.name for path in (self._root / below).iterdir() if path.is_dir())

    def find(self, name: str) -> Found:
        self.looked_up.append(name)
        return self._found(name)

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def open(self, name: str) -> BinaryIO:
        self._found(name)
        return (self._root / name).open("rb")

    def shown(self, name: str) -> str:
        return f"{self.address}/{name}"

    def _found(self, name: str) -> Found:
        path = self._root / name
        if not path.is_file():
            raise UnreadableError("does not exist")
        return Found(name, path.stat().st_size, str(path.stat().st_mtime_ns))
