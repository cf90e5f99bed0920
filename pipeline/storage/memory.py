"""A bucket in memory, to check the protocol with thousands of histories: fast, and lost when the process ends."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from pipeline.errors import MissingError
from pipeline.storage.bucket import Still
from pipeline.storage.sums import MARK, FileSum, checksums_of, mark_first, mark_last, require_equal, sum_of

# Gets the key and the function that writes, and returns what that returns.
Effect = Callable[[str, Callable[[], bool]], bool]


def _happens(key: str, write: Callable[[], bool]) -> bool:  # noqa: ARG001 - one that looks at the key may be put here
    return write()


@dataclass(frozen=True, eq=False)
class _Object:
    """Created by every write. So two are identical only if nothing was written in between."""

    content: bytes


class MemoryBucket:
    """The bucket in memory. For its methods see `pipeline.storage.bucket.Bucket`. It has no folders and no rename.

    Args:
        effect: every write and every deletion of an object goes through it. So a test may stop a process before or
            after one, let another process act in between, or lose an answer.
    """

    def __init__(self, effect: Effect = _happens) -> None:
        self._objects: dict[str, _Object] = {}
        self._lock = threading.Lock()
        self._effect = effect

    def uri(self, key: str = "") -> str:
        return f"/memory/{key}"

    def create(self, key: str, content: bytes) -> bool:
        return self._effect(key, partial(self._create, key, content))

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        return self._effect(key, partial(self._replace, key, content, instead_of))

    def read(self, key: str) -> bytes:
        try:
            return self._objects[key].content
        except KeyError as error:
            raise MissingError(f"cannot read {key}: it does not exist") from error

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return [self.read(key) for key in keys]

    def names(self, key: str, *, after: str = "") -> list[str]:
        return sorted(name for name in {name.split("/")[0] for name in self._below(key)} if name > after)

    def upload(self, source: Path, key: str) -> None:
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        for name in mark_last(files):
            self.create(f"{key}/{name}", files[name].read_bytes())

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        files = self._folder(key)
        with tempfile.TemporaryDirectory() as scratch:
            for name, each in files.items():
                path = Path(scratch, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(each.content)
            yield Path(scratch)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        files = self._folder(source)
        require_equal(_sums(files), expected, folder=source)
        for name in mark_last(files):
            if name == MARK:
                there = self._below(key)
                require_equal(_unmarked(_sums(there)), _unmarked(expected), folder=key)
                if still and MARK not in there and not still():
                    return False
            self.create(f"{key}/{name}", files[name].content)
        require_equal(self.sums(key), expected, folder=key)
        return True

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        listed = self._below(key)
        if still and listed and not still():
            return False
        for name in mark_first(listed):
            gone = self._effect(f"{key}/{name}", partial(self._remove, f"{key}/{name}", listed[name]))
            if name == MARK and not gone:
                # It was written again, and needs the other files.
                return False
        return not self._below(key)

    def delete(self, key: str) -> None:
        found = self._objects.get(key)
        if found is not None:
            self._effect(key, partial(self._remove, key, found))

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:  # noqa: ARG002 - nothing is ever left here
        return []

    def sums(self, key: str) -> dict[str, FileSum]:
        return _sums(self._folder(key))

    def checksums(self, key: str) -> dict[str, str]:
        return checksums_of(self.sums(key))

    def _create(self, key: str, content: bytes) -> bool:
        with self._lock:
            return self._objects.setdefault(key, _Object(content)).content == content

    def _replace(self, key: str, content: bytes, instead_of: bytes | None) -> bool:
        with self._lock:
            there = self._objects.get(key)
            if (there.content if there else None) != instead_of:
                return False
            self._objects[key] = _Object(content)
            return True

    def _remove(self, key: str, listed: _Object) -> bool:
        """Whether it is gone; what was written since it was listed stays."""
        with self._lock:
            if self._objects.get(key) is listed:
                del self._objects[key]
            return key not in self._objects

    def _folder(self, key: str) -> dict[str, _Object]:
        files = self._below(key)
        if not files:
            raise MissingError(f"no folder {key} in the bucket")
        return files

    def _below(self, key: str) -> dict[str, _Object]:
        prefix = f"{key}/"
        with self._lock:
            return {name.removeprefix(prefix): each for name, each in self._objects.items() if name.startswith(prefix)}


def _unmarked(files: Mapping[str, FileSum]) -> dict[str, FileSum]:
    return {name: each for name, each in files.items() if name != MARK}


def _sums(files: Mapping[str, _Object]) -> dict[str, FileSum]:
    return {name: sum_of([each.content]) for name, each in sorted(files.items())}
