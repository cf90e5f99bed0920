"""A tree of files for the tests of sources: a folder of this machine, also under the address of an object store."""

from pathlib import Path

from pipeline.storage.local_tree import LocalTree
from pipeline.storage.tree import Found


class FolderTree(LocalTree):
    """Files below a folder. `looked_up` has the names that `find` was asked for."""

    def __init__(self, root: Path, address: str = "") -> None:
        super().__init__(root, setting="data.images")
        self._named = address or str(root)
        self.looked_up: list[str] = []

    @property
    def address(self) -> str:
        return self._named

    def find(self, name: str) -> Found:
        self.looked_up.append(name)
        return super().find(name)

    def shown(self, name: str) -> str:
        return f"{self._named}/{name}"
