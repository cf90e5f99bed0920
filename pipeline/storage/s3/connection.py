"""The connection to one bucket in S3: every call has a time limit, every error is translated."""

import random
import re
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.errors import BadInputError
from pipeline.storage.objects import CallLimits, UnansweredError
from pipeline.storage.s3.errors import storage_errors

_AMAZON = "amazonaws.com"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

Result = TypeVar("Result")


class Connection:
    """One bucket, with a prefix for all keys.

    Safe to use from many threads. Nothing is connected before the first call.

    Args:
        root: s3://bucket or s3://bucket/prefix.
        patience: the time limits of every call.
        setting: where the address comes from, for messages.

    Raises:
        BadInputError: the name of the bucket is malformed.
    """

    def __init__(self, root: str, patience: CallLimits, *, setting: str = "UNDERSTUDY_ROOT") -> None:
        bucket, _, prefix = root.removeprefix("s3://").strip("/").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise BadInputError(
                f"{setting}: {root!r}: no bucket can be called {bucket!r}; use s3://bucket or s3://bucket/prefix"
            )
        self.bucket_name = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.address = f"s3://{bucket}/{prefix}".rstrip("/")
        self._patience = patience
        self._setting = setting

    @cached_property
    def client(self) -> Any:
        """The client of boto3; made at the first use."""
        import boto3

        session = boto3.session.Session()
        client = session.client("s3", config=self._config())
        if _AMAZON in str(urlsplit(client.meta.endpoint_url).hostname):
            return client
        # Few other stores have a DNS name for every bucket.
        return session.client("s3", config=self._config(addressing_style="path"))

    def place(self, key: str) -> dict[str, str]:
        """The arguments by which a request names an object."""
        return {"Bucket": self.bucket_name, "Key": f"{self.prefix}{key}"}

    def ask(self, action: str, key: str, request: Callable[[Any], Result]) -> Result:
        """Call `request` with the client, and again while it fails with a transient error.

        The retries are here and not in botocore: that limits the number of attempts and not their time, and does not
        retry an answer that breaks off in the middle.

        Args:
            action: what the request does, as a verb, for messages.
            key: the object or folder it does it to.
            request: gets the client.

        Raises:
            UnansweredError: it failed for as long as `CallLimits.retries`.
            StorageError: the store refused.
        """
        started = time.monotonic()
        pause = min(1.0, self._patience.pause)
        while True:
            try:
                with storage_errors(action, key, bucket=self.address, setting=self._setting, since=started):
                    return request(self.client)
            except UnansweredError:
                rest = random.uniform(0, pause)  # noqa: S311 - to keep callers apart, no secret
                if time.monotonic() + rest > started + self._patience.retries:
                    raise
                time.sleep(rest)
                pause = min(2 * pause, self._patience.pause)

    def _config(self, **options: str) -> Any:
        from botocore.config import Config

        return Config(
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.answer,
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Every upload has a CRC32C. Other stores than Amazon's may not know the checksums that botocore would add.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3=options,
        )
