"""The bucket on a local disk: create-if-absent, replace in one step, and folders that appear whole."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import MissingError, StorageError


class Bucket:
    """Objects under one folder, by key (see `pipeline.layout`).

    Every write is prepared under `.tmp` and then linked or renamed into place: a reader sees the whole object or
    none, and a writer that dies leaves nothing but a file under `.tmp`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, key: str) -> str:
        """The address under which another process (TensorFlow, a model server) finds `key`."""
        return str(self._root / key)

    def create(self, key: str, content: bytes) -> bool:
        """Store `content` under `key` unless something is there already; whether it was this call that did.

        Raises:
            StorageError: the disk refused. Whether the content is there is not known; a reader sees all of it or none.
        """
        with _translated("create", key), self._prepared(content) as prepared:
            target = self._parent(key)
            try:
                os.link(prepared, target)
            except FileExistsError:
                return False
            _sync(target.parent)
            return True

    def replace(self, key: str, content: bytes) -> None:
        """Store `content` under `key` whatever was there.

        Raises:
            StorageError: the disk refused; what was there is still there.
        """
        with _translated("replace", key), self._prepared(content) as prepared:
            target = self._parent(key)
            prepared.replace(target)
            _sync(target.parent)

    def read(self, key: str) -> bytes:
        """The content under `key`.

        Raises:
            MissingError: there is none.
            StorageError: it cannot be read.
        """
        with _translated("read", key):
            return (self._root / key).read_bytes()

    def exists(self, key: str) -> bool:
        with _translated("look for", key):
            return (self._root / key).exists()

    def names(self, key: str) -> list[str]:
        """The names directly under `key`, sorted; none where there is nothing."""
        with _translated("list", key):
            try:
                return sorted(path.name for path in (self._root / key).iterdir())
            except FileNotFoundError:
                return []

    def upload(self, source: Path, key: str) -> bool:
        """Make the folder `source` appear under `key`, whole; False where `key` exists already, which stays as it is.

        Raises:
            StorageError: the disk refused; nothing is under `key` from this call.
        """
        with _translated("upload to", key):
            scratch = self._scratch()
            try:
                _copy_durably(source, scratch)
                return self._settle(scratch, self._parent(key))
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def move(self, source: str, key: str) -> bool:
        """Give the folder `source` the name `key` in one step; False where `key` exists already.

        Raises:
            StorageError: the disk refused, or there is no `source`.
        """
        with _translated("move to", key):
            return self._settle(self._root / source, self._parent(key))

    def copy(self, source: str, key: str) -> bool:
        """Like `upload`, from a folder of the bucket."""
        return self.upload(self._root / source, key)

    def remove(self, key: str) -> None:
        """Remove a folder; nothing to do where there is none."""
        with _translated("remove", key):
            shutil.rmtree(self._root / key, ignore_errors=True)

    def digests(self, key: str) -> dict[str, str]:
        """SHA-256 of every file below the folder `key`, by its path in that folder.

        Raises:
            MissingError: there is no such folder.
        """
        folder = self._root / key
        if not folder.is_dir():
            raise MissingError(f"no folder {key} in the bucket")
        with _translated("read", key):
            return {
                path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }

    def size(self, key: str) -> int:
        """The bytes of all files below the folder `key`."""
        with _translated("measure", key):
            return sum(path.stat().st_size for path in (self._root / key).rglob("*") if path.is_file())

    def _parent(self, key: str) -> Path:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _scratch(self) -> Path:
        folder = self._root / ".tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    @contextmanager
    def _prepared(self, content: bytes) -> Iterator[Path]:
        scratch = self._scratch()
        try:
            with scratch.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            yield scratch
        finally:
            scratch.unlink(missing_ok=True)

    @staticmethod
    def _settle(source: Path, target: Path) -> bool:
        if target.exists():
            return False
        try:
            source.rename(target)
        except OSError:
            # Two at once: a rename onto a folder that has content fails, whatever the platform calls it.
            if target.exists() and source.exists():
                return False
            raise
        _sync(target.parent)
        return True


@contextmanager
def _translated(action: str, key: str) -> Iterator[None]:
    """The one border between the operating system's errors and ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingError(f"cannot {action} {key}: {error.filename} does not exist") from error
    except OSError as error:
        raise StorageError(f"cannot {action} {key}: {error}") from error


def _sync(path: Path) -> None:
    """Make a file's content durable, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_durably(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        _sync(path)
