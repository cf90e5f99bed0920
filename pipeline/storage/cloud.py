"""The bucket in Google Cloud Storage: a write names the generation it replaces, so of many writers one succeeds."""

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.storage import cloud_transfers
from pipeline.storage.cloud_connection import Connection, Patience
from pipeline.storage.cloud_errors import ChangedError, UnansweredError
from pipeline.storage.cloud_objects import ABSENT, Found, Objects, in_parallel
from pipeline.storage.pace import Pace
from pipeline.storage.sums import FileSum

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class CloudBucket:
    """See `pipeline.storage.bucket.Bucket`. STORAGE_EMULATOR_HOST points it at an emulator, without credentials.

    Args:
        root: gs://bucket or gs://bucket/prefix. Nothing is connected before the first call.
        patience: how long every call may last.
        pace: what keeps writes of the same object apart; as `patience` says where there is none.
    """

    def __init__(self, root: str, *, patience: Patience | None = None, pace: Pace | None = None) -> None:
        name, _, prefix = root.removeprefix("gs://").strip("/").partition("/")
        if not _BUCKET.fullmatch(name):
            raise BadInputError(f"{root!r}: no bucket can be called {name!r}; use gs://bucket or gs://bucket/prefix")
        patience = patience or Patience()
        self._objects = Objects(Connection(name, f"{prefix}/" if prefix else "", patience))
        self._pace = pace or Pace(patience.between_writes)

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
            # Content alone would not tell two writers apart who write the same.
            writer = uuid.uuid4().hex
            try:
                self._objects.write(key, content, generation=generation, writer=writer)
            except (ChangedError, UnansweredError) as error:
                now = self._look_again(key, error)
                if isinstance(error, UnansweredError) and (now.generation if now else ABSENT) == generation:
                    # The write may still be on its way.
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

    def names(self, key: str) -> list[str]:
        return self._objects.names(key)

    def upload(self, source: Path, key: str) -> None:
        cloud_transfers.upload(self._objects, source, key)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum]) -> None:
        cloud_transfers.copy(self._objects, source, key, expected=expected)

    def sums(self, key: str) -> dict[str, FileSum]:
        return cloud_transfers.sums(self._objects, key, cloud_transfers.folder(self._objects, key))

    def checksums(self, key: str) -> dict[str, str]:
        return cloud_transfers.checksums(cloud_transfers.folder(self._objects, key))

    def _look_again(self, key: str, error: StorageError) -> Found | None:
        """What is there after a write whose outcome is not known."""
        try:
            return self._objects.find(key)
        except StorageError as unread:
            raise StorageError(f"{error}; it may be written or not, for it cannot be read either") from unread
