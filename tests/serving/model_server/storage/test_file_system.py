"""What every kind of storage promises, on the local disk and in a bucket, and what is particular to each."""

import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import pytest
from grpc import StatusCode

from serving.gcs.time_limits import TimeLimits
from serving.model_server.storage import file_system
from serving.model_server.storage.gcs_file_system import GcsFileSystem, relative_path
from serving.status import InvalidArgumentError, NotFoundError, StatusError, UnimplementedError
from tests.object_storage import Bucket, ObjectStore, bucket, lasting_store, store

__all__ = ["bucket", "lasting_store", "store"]

BRIEF = TimeLimits(connect=0.5, answer=0.5, retries=0.5, pause=0.1)


class Place(Protocol):
    def uri(self, key: str = "") -> str: ...

    def write(self, key: str, content: str | bytes) -> None: ...

    def remove(self, key: str) -> None: ...


class Disk:
    def __init__(self, root: Path, scheme: str = "") -> None:
        self._root = root
        self._scheme = scheme

    def uri(self, key: str = "") -> str:
        return f"{self._scheme}{self._root}/{key}".rstrip("/")

    def write(self, key: str, content: str | bytes) -> None:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def remove(self, key: str) -> None:
        (self._root / key).unlink()


@pytest.fixture(params=["path", "file", "gs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "gs":
        found: Bucket = request.getfixturevalue("bucket")
        return found
    return Disk(tmp_path, "file://" if request.param == "file" else "")


def contents(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_folder_is_there_while_something_is_below_it(place: Place) -> None:
    place.write("m/1/deep/file", "x")

    assert file_system.exists(place.uri("m"))
    assert file_system.exists(place.uri("m/1/deep"))
    assert file_system.exists(place.uri("m/1/deep/file"))
    assert not file_system.exists(place.uri("m/2"))
    assert not file_system.exists(place.uri("m/1/dee"))


def test_the_root_is_there(place: Place) -> None:
    assert file_system.exists(place.uri())


def test_what_is_missing_is_not_found(place: Place) -> None:
    with pytest.raises(NotFoundError, match="not found"):
        file_system.check_exists(place.uri("nothing"))
    with pytest.raises(StatusError) as failure:
        file_system.read_text(place.uri("nothing"))

    assert failure.value.code is StatusCode.NOT_FOUND
    assert place.uri("nothing") in failure.value.message


def test_children_are_names_without_what_is_below_them(place: Place) -> None:
    for key in ("m/1/saved_model.pb", "m/1/variables/x", "m/22/saved_model.pb", "m/5", "other/7/x"):
        place.write(key, "x")

    assert ["1", "22", "5"] == file_system.children(place.uri("m"))
    assert ["m", "other"] == file_system.children(place.uri())


def test_a_text_is_read_as_it_is_now(place: Place) -> None:
    for text in ("first", "second, with ünïcode", ""):
        place.write("m.config", text)

        assert text == file_system.read_text(place.uri("m.config"))


def test_bytes_that_are_no_text_are_invalid(place: Place) -> None:
    place.write("m.config", b"\xff\xfe\x00")

    with pytest.raises(InvalidArgumentError, match="is not text"):
        file_system.read_text(place.uri("m.config"))


def test_a_local_copy_has_every_file_below(place: Place) -> None:
    place.write("m/1/saved_model.pb", "graph")
    place.write("m/1/variables/variables.index", "index")
    place.write("m/1/assets.extra/deep/er", "")
    place.write("m/11/saved_model.pb", "another version")
    with file_system.local_copy(place.uri("m/1")) as path:
        copied = contents(path)

    assert {"saved_model.pb": "graph", "variables/variables.index": "index", "assets.extra/deep/er": ""} == copied


def test_a_version_that_is_a_plain_file_has_no_saved_model_below(place: Place) -> None:
    place.write("m/5", "plain")
    with file_system.local_copy(place.uri("m/5")) as path:
        assert not (path / "saved_model.pb").exists()


def test_an_error_in_the_block_names_the_uri(place: Place) -> None:
    place.write("m/1/saved_model.pb", "graph")
    with (
        pytest.raises(NotFoundError) as failure,
        file_system.local_copy(place.uri("m/1")) as path,
    ):
        raise NotFoundError(f"nothing in {path}/variables")

    named = failure.value.message.removeprefix("nothing in ")
    assert place.uri("m/1/variables").removeprefix("file://") == named


@pytest.mark.parametrize(
    ("uri", "relative"),
    [
        ("gs://bucket/m", False),
        ("s3://bucket/m", False),
        ("file:///m", False),
        ("/m", False),
        ("m", True),
        ("", True),
        ("m/gs://x", True),
    ],
)
def test_relative_is_what_has_neither_a_scheme_nor_a_slash_in_front(uri: str, relative: bool) -> None:
    assert relative == file_system.is_relative(uri)


@pytest.mark.parametrize(
    "read",
    [file_system.check_exists, file_system.exists, file_system.children, file_system.read_text, file_system.local_copy],
)
def test_other_schemes_are_unimplemented_in_tensorflow_s_words(read: Callable[[str], object]) -> None:
    with pytest.raises(UnimplementedError) as failure:
        read("s3://bucket/m")

    assert failure.value.message == "File system scheme 's3' not implemented (file: 's3://bucket/m')"


def test_a_directory_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(StatusError) as failure:
        file_system.read_text(str(tmp_path))

    assert f"FAILED_PRECONDITION: {tmp_path}; Is a directory" == str(failure.value)


def test_the_local_disk_is_not_copied(tmp_path: Path) -> None:
    with file_system.local_copy(str(tmp_path)) as path:
        assert tmp_path == path
    assert tmp_path.exists()


# What is particular to buckets.


def test_a_copy_is_private_and_gone_after_the_block_whatever_happens_in_it(bucket: Bucket) -> None:
    bucket.write("m/1/saved_model.pb", "graph")
    with file_system.local_copy(bucket.uri("m/1")) as first:
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
    with pytest.raises(ZeroDivisionError), file_system.local_copy(bucket.uri("m/1")) as second:
        raise ZeroDivisionError

    assert (False, False) == (first.exists(), second.exists())


@pytest.mark.parametrize("name", ["../outside", "variables/../../outside", "/absolute", "a//b", "./a", "a/.."])
def test_names_that_lead_elsewhere_are_refused(
    bucket: Bucket, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to a bucket must not write to the disk of a server that reads it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bucket.write("m/1/saved_model.pb", "graph")
    bucket.write(f"m/1/{name}", "evil")
    with (
        pytest.raises(InvalidArgumentError, match="is not that of a file below"),
        file_system.local_copy(bucket.uri("m/1")),
    ):
        pass

    assert [] == list(tmp_path.iterdir())


def test_relative_paths() -> None:
    assert "a/b" == str(relative_path("a/b", "gs://b/m"))
    assert "a/b" == str(relative_path("a/b/", "gs://b/m"))
    assert "." == str(relative_path("", "gs://b/m"))


def test_an_object_that_is_a_file_and_a_folder_at_once_is_an_error_not_a_crash(bucket: Bucket) -> None:
    bucket.write("m/1/a", "file")
    bucket.write("m/1/a/b", "below the file")

    with pytest.raises(StatusError), file_system.local_copy(bucket.uri("m/1")):
        pass


def test_markers_that_a_console_leaves_for_folders_are_folders(bucket: Bucket) -> None:
    bucket.write("m/", "")
    bucket.write("m/1/", "")
    bucket.write("m/1/assets/", "")
    with file_system.local_copy(bucket.uri("m/1")) as path:
        copied = sorted(each.name for each in path.iterdir())

    assert ["assets"] == copied
    assert ["1"] == file_system.children(bucket.uri("m"))


def test_more_objects_than_one_page_of_a_listing(bucket: Bucket) -> None:
    for number in range(1100):
        bucket.write(f"m/{number}/x", "x")

    assert 1100 == len(file_system.children(bucket.uri("m")))


def test_a_missing_bucket_is_not_found(store: ObjectStore) -> None:
    for read in (file_system.check_exists, file_system.children, file_system.read_text):
        with pytest.raises(StatusError) as failure:
            read("gs://no-such-bucket/m")
        assert StatusCode.NOT_FOUND is failure.value.code
    with pytest.raises(NotFoundError, match="The specified bucket gs://no-such-bucket was not found"):
        file_system.check_exists("gs://no-such-bucket")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs:///m.config", "GCS path doesn't contain a bucket name: gs:///m.config"),
        ("gs://bucket", "GCS path doesn't contain an object name: gs://bucket"),
    ],
)
def test_uris_that_name_no_object(store: ObjectStore, uri: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        file_system.read_text(uri)


# Servers that refuse, fail or are silent: no emulator does that on request.


@pytest.fixture
def asked() -> list[str]:
    """The paths that were asked for."""
    return []


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Iterator[Callable[[int], GcsFileSystem]]:
    """A client of a server that gives the same answer to every request; 0 is none at all, 200 has a wrong sum."""
    silence = threading.Event()
    servers: list[ThreadingHTTPServer] = []
    clients: list[GcsFileSystem] = []

    def make(status: int) -> GcsFileSystem:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if not status:
                    silence.wait(30)
                    return
                body = b'{"generation": "1", "error": {"message": "says the server"}}'
                self.send_response(status)
                self.send_header("X-Goog-Hash", "crc32c=AAAAAA==")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{servers[-1].server_port}")
        clients.append(GcsFileSystem(BRIEF))
        return clients[-1]

    yield make
    silence.set()
    for client in clients:
        client.close()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, StatusCode.INVALID_ARGUMENT),
        (401, StatusCode.PERMISSION_DENIED),
        (403, StatusCode.PERMISSION_DENIED),
        (404, StatusCode.NOT_FOUND),
        (412, StatusCode.FAILED_PRECONDITION),
        (429, StatusCode.UNAVAILABLE),
        (500, StatusCode.UNAVAILABLE),
        (503, StatusCode.UNAVAILABLE),
        (0, StatusCode.UNAVAILABLE),
    ],
)
def test_what_a_server_answers_becomes_a_status(
    answering: Callable[[int], GcsFileSystem], status: int, code: StatusCode
) -> None:
    client = answering(status)
    for read in (client.children, client.read_text, lambda uri: client.local_copy(uri).__enter__()):
        with pytest.raises(StatusError) as failure:
            read("gs://bucket/m")

        assert code is failure.value.code
        assert "gs://bucket/m" in failure.value.message
        if status in (400, 403, 503):
            assert f"HTTP response code {status} with body" in failure.value.message
            assert "says the server" in failure.value.message


def test_bytes_that_do_not_match_their_checksum_are_data_loss(answering: Callable[[int], GcsFileSystem]) -> None:
    with pytest.raises(StatusError) as failure:
        answering(200).read_text("gs://bucket/m")

    assert StatusCode.DATA_LOSS is failure.value.code


def test_a_text_is_asked_for_by_its_generation(answering: Callable[[int], GcsFileSystem], asked: list[str]) -> None:
    """Without one, Google may answer for a public object out of a cache that is an hour old."""
    with pytest.raises(StatusError):
        answering(200).read_text("gs://bucket/m")

    # The library also asks for the bucket, on a thread of its own, some time or other.
    look, *reads = ["generation=1" in path for path in asked if "/o/" in path]
    assert (look, set(reads)) == (False, {True})


def test_a_folder_nobody_may_list_is_not_taken_for_a_missing_one(answering: Callable[[int], GcsFileSystem]) -> None:
    with pytest.raises(StatusError) as failure:
        answering(403).check_exists("gs://bucket/m")

    assert StatusCode.PERMISSION_DENIED is failure.value.code


def test_a_server_that_is_not_there_is_unavailable_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{unused.getsockname()[1]}")
        client = GcsFileSystem(BRIEF)
        with pytest.raises(StatusError) as failure:
            client.check_exists("gs://bucket/m")
        client.close()

    assert StatusCode.UNAVAILABLE is failure.value.code
    assert "when reading gs://bucket/m" in failure.value.message


def test_without_credentials_buckets_are_read_as_anybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "no such file"))
    GcsFileSystem(BRIEF).close()


def test_a_store_that_was_away_is_read_again_when_it_is_back(lasting_store: ObjectStore) -> None:
    """With the client that saw it go: nothing has to be restarted."""
    bucket = lasting_store.bucket()
    bucket.write("m.config", "text")
    uri = bucket.uri("m.config")
    assert file_system.read_text(uri) == "text"
    lasting_store.stop()
    threading.Timer(0.3, lasting_store.start).start()

    assert "text" == file_system.read_text(uri)
    bucket.close()


def test_a_process_that_never_meets_a_bucket_never_imports_the_client() -> None:
    code = (
        "import sys; from serving.model_server.storage import file_system\n"
        "file_system.exists('/m'); print('google.api_core' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
