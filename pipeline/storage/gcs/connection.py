"""The connection to one bucket in Google Cloud Storage: every call has a time limit, every error is translated."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.storage.gcs.errors import storage_errors
from pipeline.storage.objects import CallLimits
from serving.gcs.client import make_client
from serving.gcs.time_limits import call_options

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class Connection:
    """One bucket, with a prefix for all keys.

    Safe to use from many threads. Nothing is connected before the first call.

    Args:
        root: gs://bucket or gs://bucket/prefix.
        patience: the time limits of every call.
        setting: where the address comes from, for messages.
        role: what this account needs, for messages.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """

    def __init__(
        self,
        root: str,
        patience: CallLimits,
        *,
        setting: str = "UNDERSTUDY_ROOT",
        role: str = "roles/storage.objectUser",
    ) -> None:
        bucket, _, prefix = root.removeprefix("gs://").strip("/").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise BadInputError(
                f"{setting}: {root!r}: no bucket can be called {bucket!r}; use gs://bucket or gs://bucket/prefix"
            )
        self.bucket_name = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.address = f"gs://{bucket}/{prefix}".rstrip("/")
        self._patience = patience
        self._setting = setting
        self._role = role
        self._bucket_seen = False

    @cached_property
    def client(self) -> Any:
        """The client of Google's library; made at the first use."""
        return make_client()

    @cached_property
    def bounds(self) -> dict[str, Any]:
        """The time limits and retries, as keyword arguments of the library's methods."""
        return call_options(self._patience)

    def blob(self, key: str, **options: Any) -> Any:
        """The library's handle of one object; nothing is sent."""
        return self.client.bucket(self.bucket_name).blob(f"{self.prefix}{key}", **options)

    @contextmanager
    def asked(self, action: str, key: str, *, since: float | None = None) -> Iterator[None]:
        """Translate the errors of the block. `MissingError` means a missing object: the bucket itself exists.

        Args:
            action: what the block does, as a verb.
            key: the object or folder it does it to.
            since: when it began by `time.monotonic`, if that was before the block.

        Raises:
            StorageError: the bucket does not exist, or as `storage_errors`.
        """
        try:
            with storage_errors(action, key, bucket=self.address, since=since, role=self._role):
                yield
        except MissingError:
            self._require_bucket()
            raise

    def _require_bucket(self) -> None:
        if self._bucket_seen:
            return
        try:
            with storage_errors("list", "anything", bucket=self.address, role=self._role):
                list(self.client.list_blobs(self.bucket_name, max_results=1, fields="items(name)", **self.bounds))
        except MissingError as error:
            raise StorageError(
                f"the bucket gs://{self.bucket_name} does not exist; create it, or correct {self._setting}"
            ) from error
        self._bucket_seen = True
