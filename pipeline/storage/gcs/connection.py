"""The way to one bucket in Google Cloud Storage: every call bounded in time, every error one of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from pipeline.errors import MissingError, StorageError
from pipeline.storage.gcs.errors import storage_errors
from pipeline.storage.objects import Patience
from serving.gcs.client import make_client
from serving.gcs.time_limits import call_options


class Connection:
    """Safe to use from many threads. Nothing is connected before the first call."""

    def __init__(self, bucket: str, prefix: str, patience: Patience) -> None:
        self.address = f"gs://{bucket}/{prefix}".rstrip("/")
        self.bucket_name = bucket
        self.prefix = prefix
        self._patience = patience
        self._bucket_seen = False

    @cached_property
    def client(self) -> Any:
        return make_client()

    @cached_property
    def bounds(self) -> dict[str, Any]:
        return call_options(self._patience)

    def blob(self, key: str, **options: Any) -> Any:
        return self.client.bucket(self.bucket_name).blob(f"{self.prefix}{key}", **options)

    @contextmanager
    def asked(self, action: str, key: str, *, since: float | None = None) -> Iterator[None]:
        """Not there is an answer only where the bucket is there."""
        try:
            with storage_errors(action, key, bucket=self.address, since=since):
                yield
        except MissingError:
            self._require_bucket()
            raise

    def _require_bucket(self) -> None:
        if self._bucket_seen:
            return
        try:
            with storage_errors("list", "anything", bucket=self.address):
                list(self.client.list_blobs(self.bucket_name, max_results=1, fields="items(name)", **self.bounds))
        except MissingError as error:
            raise StorageError(
                f"the bucket gs://{self.bucket_name} does not exist; create it, or correct UNDERSTUDY_ROOT"
            ) from error
        self._bucket_seen = True
