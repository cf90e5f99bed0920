"""Parts: what a snapshot has read is stored now and then, so that a repeated one continues there."""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.data.snapshot import manifest_file, manifests
from pipeline.data.snapshot.manifest_file import Shard
from pipeline.data.snapshot.rows import Row
from pipeline.errors import StorageError
from pipeline.spec import ModelSpec
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

# A process that dies loses no more than this.
_ROWS = 5_000
_SECONDS = 60.0


class Parts:
    """Stores rows in the bucket as they come.

    Attributes:
        names: of the parts that were stored.
    """

    def __init__(self, bucket: Bucket | None, spec: ModelSpec, scratch: Path, settings: dict[str, Any]) -> None:
        self.names: list[str] = []
        self._bucket = bucket
        self._spec = spec
        self._scratch = scratch
        self._settings = settings
        self._rows: list[Row] = []
        self._shards: list[Shard] = []
        self._stored_at = time.monotonic()

    def keep(self, row: Row) -> Row:
        """Take a row that was read; the row."""
        if self._bucket is not None:
            self._rows.append(row)
            if len(self._rows) >= _ROWS or time.monotonic() > self._stored_at + _SECONDS:
                self._store(self._bucket)
        return row

    def complete(self, shard: Shard) -> None:
        """Note that every image of a shard was read: only then it is known."""
        self._shards.append(shard)

    @contextmanager
    def kept_on_errors(self) -> Iterator[None]:
        """Store the rest if the block fails. If it does not, a manifest will have all of it."""
        try:
            yield
        except BaseException:
            if self._bucket is not None and self._rows:
                # What has failed is said by the error of the block: a bucket without an answer, a full disk.
                with suppress(StorageError, OSError):
                    self._store(self._bucket)
            raise

    def _store(self, bucket: Bucket) -> None:
        folder = self._scratch / f"part-{len(self.names)}"
        folder.mkdir(exist_ok=True)
        digest = manifest_file.write(
            folder / manifests.FILE,
            self._rows,
            slices=self._spec.data.slices,
            settings=self._settings,
            shards=self._shards,
        )
        self.names.append(manifests.store_part(bucket, self._spec.name, folder, digest=digest))
        log.info("%d images are kept for a repeated snapshot", len(self._rows))
        shutil.rmtree(folder)
        self._rows, self._shards, self._stored_at = [], [], time.monotonic()
