"""An S3 store for tests: moto, a program that speaks Amazon's protocol.

`s3_store`, `s3_bucket` and `proxy` are fixtures: a test module that wants them imports them. While a store is in use,
the standard variables of Amazon's libraries point at it.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.object_storage import wait_until_it_listens
from tests.pipeline.storage.fault_proxy import FaultProxy
from tests.ports import free_port

VARIABLE = "AWS_ENDPOINT_URL"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Nobody's own settings.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

_numbers = itertools.count(1)


class S3Store:
    """One server process on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.storage.s3_server", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until_it_listens(self._process, self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def bucket(self) -> "S3TestBucket":
        """A new one, with nothing in it."""
        return S3TestBucket(f"bucket-{next(_numbers)}", self.endpoint)


class S3TestBucket:
    """What a test does to a bucket, and what a person would do with a command-line tool."""

    def __init__(self, name: str, endpoint: str) -> None:
        import boto3

        self.name = name
        self.client: Any = boto3.client("s3", endpoint_url=endpoint)
        self.client.create_bucket(Bucket=name)

    def uri(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}" if key else f"s3://{self.name}"

    def write(self, key: str, content: str | bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def upload(self, directory: Path, key: str) -> None:
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            self.write(f"{key}/{path.relative_to(directory).as_posix()}", path.read_bytes())

    def remove(self, key: str) -> None:
        """The object, or all that is below."""
        for each in self.client.list_objects_v2(Bucket=self.name, Prefix=key).get("Contents", []):
            self.client.delete_object(Bucket=self.name, Key=each["Key"])

    def close(self) -> None:
        self.client.close()


@pytest.fixture(scope="module")
def s3_store() -> Iterator[S3Store]:
    """One per test module; each test takes a bucket of its own."""
    import botocore.session

    made = S3Store()
    with pytest.MonkeyPatch.context() as patch:
        # Each session would read the descriptions of Amazon's services anew, which takes longer than most tests.
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        for name, value in (CREDENTIALS | {VARIABLE: made.endpoint}).items():
            patch.setenv(name, value)
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def s3_bucket(s3_store: S3Store) -> Iterator[S3TestBucket]:
    made = s3_store.bucket()
    yield made
    made.close()


@pytest.fixture
def proxy(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Whoever connects to the store while a test runs comes through here."""
    made = FaultProxy(s3_store)
    made.start()
    monkeypatch.setenv(VARIABLE, made.endpoint)
    yield made
    made.stop()
