"""A bucket in memory, for checking the protocol against thousands of histories: fast, and gone with the process."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline.errors import MissingError
from pipeline.storage.sums import MARK, FileSum, mark_last, require_equal, sum_of

# Gets the key and the write itself, and returns what the write returns.
Effect = Callable[[str, Callable[[], bool]], bool]


def _happens(key: str, write: Callable[[], bool]) -> bool:  # noqa: ARG001 - one that looks at the key may be put here
    return write()


class MemoryBucket:
    """See `pipeline.storage.bucket.Bucket`. Like an object store it has no folders and no rename.

    Args:
        effect: every write of an object goes through it. So whoever checks a protocol may end an actor before a write
            or after it, let another act in between, or lose an answer.
    """

    def __init__(self, effect: Effect = _happens) -> None:
        self._objects: dict[str, bytes] = {}
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
            return self._objects[key]
        except KeyError as error:
            raise MissingError(f"cannot read {key}: it does not exist") from error

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return [self.read(key) for key in keys]

    def names(self, key: str) -> list[str]:
        return sorted({name.split("/")[0] for name in self._below(key)})

    def upload(self, source: Path, key: str) -> None:
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        for name in mark_last(files):
            self.create(f"{key}/{name}", files[name].read_bytes())

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum]) -> None:
        files = self._folder(source)
        require_equal(_sums(files), expected, folder=source)
        for name in mark_last(files):
            if name == MARK:
                require_equal(_unmarked(_sums(self._below(key))), _unmarked(expected), folder=key)
            self.create(f"{key}/{name}", files[name])
        require_equal(self.sums(key), expected, folder=key)

    def sums(self, key: str) -> dict[str, FileSum]:
        return _sums(self._folder(key))

    def checksums(self, key: str) -> dict[str, str]:
        return {name: each.crc32c for name, each in self.sums(key).items()}

    def _create(self, key: str, content: bytes) -> bool:
        with self._lock:
            return self._objects.setdefault(key, content) == content

    def _replace(self, key: str, content: bytes, instead_of: bytes | None) -> bool:
        with self._lock:
            if self._objects.get(key) != instead_of:
                return False
            self._objects[key] = content
            return True

    def _folder(self, key: str) -> dict[str, bytes]:
        files = self._below(key)
        if not files:
            raise MissingError(f"no folder {key} in the bucket")
        return files

    def _below(self, key: str) -> dict[str, bytes]:
        prefix = f"{key}/"
        with self._lock:
            return {name.removeprefix(prefix): each for name, each in self._objects.items() if name.startswith(prefix)}


def _unmarked(files: Mapping[str, FileSum]) -> dict[str, FileSum]:
    return {name: each for name, each in files.items() if name != MARK}


def _sums(files: Mapping[str, bytes]) -> dict[str, FileSum]:
    return {name: sum_of([content]) for name, content in sorted(files.items())}
