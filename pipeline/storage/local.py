"""The bucket on a local disk: files are written aside, then linked or renamed, so they appear complete or not."""

import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath

from pipeline.errors import MissingError, StorageError
from pipeline.storage.bucket import Still
from pipeline.storage.leftovers import tidy_folder
from pipeline.storage.sums import FileSum, checksums_of, require_equal, sums_of

# Everything is prepared here. If a process dies, what it leaves here is not read by anybody.
_ASIDE = ".tmp"


class LocalBucket:
    """The bucket on a disk. For its methods see `pipeline.storage.bucket.Bucket`. It needs hard links and `flock`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, key: str = "") -> str:
        return str(self._root / key)

    def create(self, key: str, content: bytes) -> bool:
        with _translated("create", key), self._prepared(content) as prepared:
            target = self._parent(key)
            try:
                os.link(prepared, target)
            except FileExistsError:
                return target.read_bytes() == content
            _sync(target.parent)
            return True

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        with _translated("replace", key), self._prepared(content) as prepared, self._locked(key):
            target = self._parent(key)
            if (target.read_bytes() if target.exists() else None) != instead_of:
                return False
            prepared.replace(target)
            _sync(target.parent)
            return True

    def read(self, key: str) -> bytes:
        with _translated("read", key):
            return (self._root / key).read_bytes()

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return [self.read(key) for key in keys]

    def names(self, key: str, *, after: str = "") -> list[str]:
        if not self._root.is_dir():
            raise StorageError(
                f"no bucket at {self._root}. Mount it, correct UNDERSTUDY_ROOT, or run `understudy init --model "
                f"<model>`"
            )
        with _translated("list", key):
            try:
                return sorted(name for name in os.listdir(self._root / key) if name > after)  # noqa: PTH208 - of 10^5 files
            except FileNotFoundError:
                return []

    def upload(self, source: Path, key: str) -> None:
        with _translated("upload to", key), self._aside() as aside:
            if (self._root / key).exists():
                return
            shutil.copytree(source, aside)
            _sync_all(aside)
            _settle(aside, self._parent(key))

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        yield self._folder(key)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        self._folder(source)
        with _translated("copy to", key), self._aside() as aside:
            if not (self._root / key).exists():
                shutil.copytree(self._root / source, aside)
                with ThreadPoolExecutor(1) as pool:
                    syncing = pool.submit(_sync_all, aside)
                    require_equal(sums_of(aside), expected, folder=source)
                    syncing.result()
                with self._beside_locked(key):
                    if still and not (self._root / key).exists() and not still():
                        return False
                    if _settle(aside, self._parent(key)):
                        return True
            require_equal(sums_of(self._root / key), expected, folder=key)
            return True

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        folder = self._root / key
        with _translated("remove", key), self._aside() as aside, self._beside_locked(key):
            if not folder.is_dir():
                return True
            if still and not still():
                return False
            folder.rename(aside)
            _sync(folder.parent)
            return True

    def delete(self, key: str) -> None:
        with _translated("delete", key):
            (self._root / key).unlink(missing_ok=True)

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        with _translated("tidy", _ASIDE):
            return tidy_folder(self._root / _ASIDE, older_than=older_than, dry_run=dry_run)

    def sums(self, key: str) -> dict[str, FileSum]:
        with _translated("read", key):
            return sums_of(self._folder(key))

    def checksums(self, key: str) -> dict[str, str]:
        # A disk keeps no checksums, so this reads as much as `sums` does.
        return checksums_of(self.sums(key))

    def _folder(self, key: str) -> Path:
        folder = self._root / key
        if not folder.is_dir():
            raise MissingError(f"no folder {key} in the bucket {self._root}")
        return folder

    def _parent(self, key: str) -> Path:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _beside(self, name: str) -> Path:
        folder = self._root / _ASIDE
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """A path to prepare a folder at; whatever is left there at the end is deleted."""
        aside = self._beside(uuid.uuid4().hex)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def _prepared(self, content: bytes) -> Iterator[Path]:
        aside = self._beside(uuid.uuid4().hex)
        try:
            with aside.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            yield aside
        finally:
            aside.unlink(missing_ok=True)

    def _beside_locked(self, key: str) -> AbstractContextManager[None]:
        """While the block runs, no folder beside `key` appears or disappears."""
        return self._locked(f"{PurePosixPath(key).parent}/")

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """One process at a time. If a process dies, the system releases its lock."""
        path = self._beside(f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.lock")
        with path.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _settle(source: Path, target: Path) -> bool:
    """Rename a finished folder to its final path; False if that exists already, which is not changed."""
    if target.exists():
        return False
    try:
        source.rename(target)
    except OSError:
        # Another process was first: a rename onto a folder with content fails with a platform's error.
        if target.exists() and source.exists():
            return False
        raise
    _sync(target.parent)
    return True


@contextmanager
def _translated(action: str, key: str) -> Iterator[None]:
    """Translate the operating system's errors; nothing else does."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingError(f"cannot {action} {key}: {error.filename} does not exist") from error
    except OSError as error:
        raise StorageError(f"cannot {action} {key}: {error}") from error


def _sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        _sync(path)
