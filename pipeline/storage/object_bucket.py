"""The bucket in an object store: a write names what it replaces, so that of many writers one succeeds."""

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pipeline.errors import MissingError, StorageError
from pipeline.storage import object_folders
from pipeline.storage.bucket import Still
from pipeline.storage.objects import ABSENT, ChangedError, Objects, StoredObject, UnansweredError, in_parallel
from pipeline.storage.pace import Pace
from pipeline.storage.sums import FileSum, checksums_of


class ObjectBucket:
    """The bucket in an object store. For its methods see `pipeline.storage.bucket.Bucket`.

    Args:
        objects: the store.
        pace: keeps writes of the same object apart.
    """

    def __init__(self, objects: Objects, pace: Pace) -> None:
        self._objects = objects
        self._pace = pace

    def uri(self, key: str = "") -> str:
        return f"{self._objects.address}/{key}" if key else self._objects.address

    def create(self, key: str, content: bytes) -> bool:
        try:
            self._objects.write(key, content, generation=ABSENT)
        except (ChangedError, UnansweredError) as error:
            found = self._look_again(key, error)
            if found is None:
                raise
            return found.content == content
        return True

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        with self._pace.turn(key):
            found = self._objects.find(key)
            if (found.content if found else None) != instead_of:
                return False
            generation = found.generation if found else ABSENT
            # Two writers may write the same content, so the content does not say which of them succeeded.
            writer = uuid.uuid4().hex
            try:
                self._objects.write(key, content, generation=generation, writer=writer)
            except (ChangedError, UnansweredError) as error:
                now = self._look_again(key, error)
                if isinstance(error, UnansweredError) and (now.generation if now else ABSENT) == generation:
                    # The write may still arrive.
                    raise
                return now is not None and now.writer == writer
            return True

    def read(self, key: str) -> bytes:
        found = self._objects.find(key)
        if found is None:
            raise MissingError(f"cannot read {key} in {self.uri()}: it does not exist")
        return found.content

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return in_parallel(self.read, keys)

    def names(self, key: str, *, after: str = "") -> list[str]:
        return self._objects.names(key, after=after)

    def upload(self, source: Path, key: str) -> None:
        object_folders.upload(self._objects, source, key)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as scratch:
            object_folders.download(self._objects, key, Path(scratch))
            yield Path(scratch)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        return object_folders.copy(self._objects, source, key, expected=expected, still=still)

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        return object_folders.remove(self._objects, key, still=still)

    def delete(self, key: str) -> None:
        object_folders.delete(self._objects, key)

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        return self._objects.tidy(older_than=older_than, dry_run=dry_run)

    def sums(self, key: str) -> dict[str, FileSum]:
        return object_folders.sums(self._objects, key, object_folders.folder(self._objects, key))

    def checksums(self, key: str) -> dict[str, str]:
        return checksums_of(object_folders.folder(self._objects, key))

    def _look_again(self, key: str, error: StorageError) -> StoredObject | None:
        """What the store holds after a write whose outcome is not known."""
        try:
            return self._objects.find(key)
        except StorageError as unread:
            raise StorageError(f"{error}; it may be written or not, for it cannot be read either") from unread
