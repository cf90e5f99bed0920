"""Single objects in Google Cloud Storage: the requests for one object or file."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import MissingError, StorageError
from pipeline.storage.gcs.connection import Connection
from pipeline.storage.objects import (
    ABSENT,
    LOOKS,
    PIECE,
    THREADS,
    WRITER,
    ChangedError,
    Generation,
    Listed,
    StoredObject,
    never_at_rest,
)
from pipeline.storage.sums import FileSum, Summing, sum_of


class GcsObjects:
    """The objects of one bucket; see `pipeline.storage.objects.Objects`."""

    def __init__(self, at: Connection) -> None:
        self._at = at

    @property
    def address(self) -> str:
        return self._at.address

    def find(self, key: str) -> StoredObject | None:
        """Read the current object, after its generation.

        Without one, a public object may come from a cache of Google's.
        """
        for _ in range(LOOKS):
            try:
                seen = self._seen(key)
            except MissingError:
                return None
            # Replaced or removed since its generation was read: look again.
            with suppress(MissingError):
                content = self._pinned(key, seen.generation)
                return StoredObject(content, seen.generation, (seen.metadata or {}).get(WRITER, ""))
        raise never_at_rest(key)

    def write(self, key: str, content: bytes, *, generation: Generation, writer: str = "") -> None:
        with self._at.asked("write", key):
            blob = self._at.blob(key)
            blob.cache_control = "no-store"
            blob.metadata = {WRITER: writer} if writer else None
            blob.upload_from_string(
                content, content_type="text/plain", if_generation_match=generation, checksum="crc32c", **self._at.bounds
            )

    def names(self, key: str, *, after: str = "") -> list[str]:
        prefix = f"{self._at.prefix}{key}/"
        with self._at.asked("list", key):
            pages = self._at.client.list_blobs(
                self._at.bucket_name,
                prefix=prefix,
                delimiter="/",
                fields="items(name),prefixes,nextPageToken",
                start_offset=f"{prefix}{after}" if after else None,
                **self._at.bounds,
            )
            names = {blob.name for blob in pages} | pages.prefixes
        # The offset itself is listed, and so is a folder of that name.
        return sorted(name for each in names if (name := each.removeprefix(prefix).rstrip("/")) > after)

    def listed(self, key: str) -> dict[str, Listed]:
        prefix = f"{self._at.prefix}{key}/"
        with self._at.asked("list", key):
            pages = self._at.client.list_blobs(
                self._at.bucket_name,
                prefix=prefix,
                fields="items(name,generation,size,crc32c),nextPageToken",
                **self._at.bounds,
            )
            # A name that ends with a slash is a folder that was made by hand.
            blobs = [blob for blob in pages if not blob.name.endswith("/")]
        return {blob.name.removeprefix(prefix): Listed(blob.generation, blob.size, blob.crc32c) for blob in blobs}

    def generations(self, key: str) -> dict[str, Generation]:
        return {name: each.generation for name, each in self.listed(key).items()}

    def sum(self, key: str, listed: Listed) -> FileSum:
        """Read the object; a large one in pieces, each of which is retried alone."""
        for _ in range(LOOKS):
            try:
                if listed.size <= PIECE:
                    return sum_of([self._pinned(key, listed.generation)])
                summing = Summing()
                self._write_in_pieces(key, listed.generation, summing)
                return summing.result()
            except MissingError:
                seen = self._seen(key)
                listed = Listed(seen.generation, seen.size, seen.crc32c)
        raise never_at_rest(key)

    def download(self, key: str, listed: Listed, path: Path) -> None:
        with path.open("wb") as stream:
            if listed.size <= PIECE:
                stream.write(self._pinned(key, listed.generation))
            else:
                self._write_in_pieces(key, listed.generation, stream)

    def upload(self, files: Mapping[str, Path]) -> dict[str, StorageError]:
        from google.cloud.storage import transfer_manager

        started = time.monotonic()
        with self._at.asked("upload", ", ".join(files)):
            results = transfer_manager.upload_many(
                [(str(path), self._at.blob(key)) for key, path in files.items()],
                skip_if_exists=True,
                upload_kwargs={"checksum": "crc32c", **self._at.bounds},
                worker_type=transfer_manager.THREAD,
                max_workers=THREADS,
            )
        return self._failures(dict(zip(files, results, strict=True)), since=started)

    def rewrite(self, source: str, original: Listed, key: str) -> None:
        with self._at.asked(f"copy {source} to", key):
            blob = self._at.blob(source, generation=original.generation)
            token: str | None = ""
            while token is not None:
                token, _, _ = self._at.blob(key).rewrite(
                    blob, token=token or None, if_generation_match=ABSENT, **self._at.bounds
                )

    def remove(self, key: str, generation: Generation) -> None:
        with self._at.asked("remove", key):
            self._at.blob(key).delete(if_generation_match=generation, **self._at.bounds)

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:  # noqa: ARG002 - Google removes it itself
        return []

    def _seen(self, key: str) -> Any:
        """What Google knows of the current object."""
        with self._at.asked("read", key):
            blob = self._at.blob(key)
            blob.reload(**self._at.bounds)
            return blob

    def _pinned(self, key: str, generation: Generation) -> bytes:
        with self._at.asked("read", key):
            return bytes(
                self._at.blob(key, generation=generation).download_as_bytes(checksum="crc32c", **self._at.bounds)
            )

    def _write_in_pieces(self, key: str, generation: Generation, stream: Summing | BinaryIO) -> None:
        with self._at.asked("read", key):
            blob = self._at.blob(key, generation=generation, chunk_size=PIECE)
            blob.download_to_file(stream, checksum=None, **self._at.bounds)

    def _failures(self, results: Mapping[str, Exception | None], *, since: float) -> dict[str, StorageError]:
        failures = {}
        for key, result in results.items():
            try:
                with self._at.asked("upload", key, since=since):
                    if result is not None:
                        raise result
            except ChangedError:
                # The key existed already.
                continue
            except StorageError as error:
                failures[key] = error
        return failures
