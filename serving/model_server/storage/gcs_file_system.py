"""Models and configs in gs:// buckets, as TensorFlow's own file system for them sees buckets.

There are no folders in a bucket, only objects whose names hold slashes: a folder is there while an object is below it.
Imported when the first gs:// URI is met. STORAGE_EMULATOR_HOST points it at an emulator, without credentials.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from google.api_core.exceptions import NotFound

from serving.gcs.client import make_client_or_anonymous
from serving.gcs.time_limits import TimeLimits, call_options
from serving.model_server.storage.gcs_errors import status_errors
from serving.model_server.storage.scratch_directory import scratch_directory
from serving.status import InvalidArgumentError, NotFoundError, StatusError

DOWNLOAD_THREADS = 8
# How often a text is read again because it was replaced between the look at its generation and the reading of it.
READS = 5


class GcsFileSystem:
    """Safe to use from many threads. Every call ends within `limits`, but for downloads that make headway."""

    def __init__(self, limits: TimeLimits | None = None) -> None:
        self._bounds = call_options(limits or TimeLimits())
        self._client = make_client_or_anonymous()

    def close(self) -> None:
        self._client.close()

    def check_exists(self, uri: str) -> None:
        bucket, name = split(uri)
        with status_errors(uri):
            if not name:
                found = self._client.bucket(bucket).exists(**self._bounds)
            else:
                found = self._is_folder(bucket, name) or self._client.bucket(bucket).blob(name).exists(**self._bounds)
        if not found:
            raise NotFoundError(f"The specified {'path' if name else 'bucket'} {uri} was not found.")

    def children(self, uri: str) -> list[str]:
        bucket, name = split(uri)
        prefix = _folder(name)
        with status_errors(uri):
            pages = self._client.list_blobs(
                bucket, prefix=prefix, delimiter="/", fields="items(name),prefixes,nextPageToken", **self._bounds
            )
            names = {blob.name for blob in pages} | pages.prefixes
        return sorted({below.removeprefix(prefix).split("/")[0] for below in names} - {""})

    def read_text(self, uri: str) -> str:
        bucket, name = split(uri)
        if not name:
            raise InvalidArgumentError(f"GCS path doesn't contain an object name: {uri}")
        with status_errors(uri):
            content = self._newest(self._client.bucket(bucket), name)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidArgumentError(f"{uri} is not text: {error}") from error

    @contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        with scratch_directory() as root:
            with status_errors(uri):
                self._download(uri, root)
            try:
                yield root
            except StatusError as error:
                error.message = error.message.replace(str(root), uri)
                raise

    def _is_folder(self, bucket: str, name: str) -> bool:
        pages = self._client.list_blobs(
            bucket, prefix=_folder(name), max_results=1, fields="items(name),nextPageToken", **self._bounds
        )
        return any(True for _ in pages)

    def _newest(self, bucket: Any, name: str, *, reads: int = READS) -> bytes:
        """Ask for the generation first: without one, an object that is public comes out of a cache of Google's."""
        found = bucket.blob(name)
        found.reload(**self._bounds)
        pinned = bucket.blob(name, generation=found.generation)
        try:
            return bytes(pinned.download_as_bytes(checksum="crc32c", **self._bounds))
        except NotFound:
            if reads == 1:
                raise
            return self._newest(bucket, name, reads=reads - 1)

    def _download(self, uri: str, root: Path) -> None:
        """Every object below `uri`, each in the generation that was listed."""
        from google.cloud.storage import transfer_manager

        bucket, name = split(uri)
        prefix = _folder(name)
        wanted = []
        listed = self._client.list_blobs(
            bucket, prefix=prefix, fields="items(name,generation),nextPageToken", **self._bounds
        )
        for blob in listed:
            target = root / relative_path(blob.name.removeprefix(prefix), uri)
            if blob.name.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            wanted.append((blob, str(target)))
        transfer_manager.download_many(
            wanted,
            download_kwargs={"checksum": "crc32c", **self._bounds},
            worker_type=transfer_manager.THREAD,
            max_workers=DOWNLOAD_THREADS,
            raise_exception=True,
        )


def split(uri: str) -> tuple[str, str]:
    """Bucket and object name, which may be empty."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if bucket in ("", "."):
        raise InvalidArgumentError(f"GCS path doesn't contain a bucket name: {uri}")
    return bucket, name


def relative_path(name: str, uri: str) -> PurePosixPath:
    """The path of an object below `uri`; a name that would lead anywhere else is INVALID_ARGUMENT."""
    parts = name.removesuffix("/").split("/") if name else []
    if {"", ".", ".."} & set(parts):
        raise InvalidArgumentError(f"The name of the object {uri}/{name} is not that of a file below {uri}")
    return PurePosixPath(*parts)


def _folder(name: str) -> str:
    return name if not name or name.endswith("/") else f"{name}/"
