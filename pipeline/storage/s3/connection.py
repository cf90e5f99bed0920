"""The way to one bucket in S3: every call bounded in time, every error one of ours."""

import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.storage.objects import Patience, UnansweredError
from pipeline.storage.s3.errors import storage_errors

_AMAZON = "amazonaws.com"

Result = TypeVar("Result")


class Connection:
    """Safe to use from many threads. Nothing is connected before the first call."""

    def __init__(self, bucket: str, prefix: str, patience: Patience) -> None:
        self.address = f"s3://{bucket}/{prefix}".rstrip("/")
        self.bucket_name = bucket
        self.prefix = prefix
        self._patience = patience

    @cached_property
    def client(self) -> Any:
        import boto3

        session = boto3.session.Session()
        client = session.client("s3", config=self._config())
        if _AMAZON in str(urlsplit(client.meta.endpoint_url).hostname):
            return client
        # Few other stores have a name in DNS for every bucket.
        return session.client("s3", config=self._config(addressing_style="path"))

    def place(self, key: str) -> dict[str, str]:
        """How a request names an object."""
        return {"Bucket": self.bucket_name, "Key": f"{self.prefix}{key}"}

    def ask(self, action: str, key: str, request: Callable[[Any], Result]) -> Result:
        """What `request`, given the client, returns; transient errors are retried.

        Here and not in botocore, which bounds the number of tries and not their time, and does not try again what
        breaks off in the middle of an answer.
        """
        started = time.monotonic()
        pause = min(1.0, self._patience.pause)
        while True:
            try:
                with storage_errors(action, key, bucket=self.address, since=started):
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
            # We send CRC32C with every upload; stores that are not Amazon's may not know those botocore would add.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3=options,
        )
