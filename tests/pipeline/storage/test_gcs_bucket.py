"""What only Google Cloud Storage has: caches, paces, generations, files too large for one request."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.storage.gcs.bucket import GcsBucket
from pipeline.storage.objects import PIECE
from pipeline.storage.opening import open_bucket
from pipeline.storage.pace import Pace
from pipeline.storage.sums import sums_of
from tests.object_storage import Bucket as GoogleBucket
from tests.object_storage import bucket, store
from tests.pipeline.storage.fault_proxy import FaultProxy, proxy
from tests.pipeline.storage.kinds import MODEL, SHORT, sums, written

__all__ = ["bucket", "proxy", "store"]

CONFIG = "serve/digits.config"


@pytest.fixture
def cloud(bucket: GoogleBucket) -> GcsBucket:
    return GcsBucket(bucket.uri(), patience=SHORT)


@pytest.fixture
def google(bucket: GoogleBucket) -> Iterator[Any]:
    """The bucket as Google's library shows it."""
    from google.cloud import storage

    client = storage.Client(project="test")
    yield client.bucket(bucket.name)
    client.close()


def test_no_cache_keeps_the_config(cloud: GcsBucket, google: Any) -> None:
    """A replica would otherwise read an old one for up to an hour where the bucket is public."""
    cloud.replace(CONFIG, b"first", instead_of=None)
    first = google.get_blob(CONFIG)
    cloud.replace(CONFIG, b"second", instead_of=b"first")
    second = google.get_blob(CONFIG)
    cloud.create("serve/other.config", b"")
    created = google.get_blob("serve/other.config")

    assert {"no-store"} == {each.cache_control for each in (first, second, created)}
    assert {"text/plain"} == {each.content_type for each in (first, second, created)}
    assert first.generation < second.generation


def test_the_config_is_written_once_a_second(bucket: GoogleBucket) -> None:
    """F33: Google answers 429 to whoever is faster."""
    slept: list[float] = []
    cloud = GcsBucket(bucket.uri(), patience=SHORT, pace=Pace(1, clock=lambda: 5.0, sleep=slept.append))
    for number in range(3):
        assert cloud.replace(CONFIG, bytes([number + 1]), instead_of=bytes([number]) if number else None)
    cloud.replace("serve/other.config", b"", instead_of=None)
    cloud.create("runs/a.json", b"")
    cloud.create("runs/a.json", b"")

    assert [1, 1] == slept


def test_by_default_a_second_lies_between_two_writes() -> None:
    assert 1 == type(SHORT)().between_writes


@pytest.mark.parametrize("root", ["gs://Bucket", "gs://b", "gs://a b/c", "gs://-bucket-"])
def test_a_name_that_no_bucket_has_is_refused(root: str) -> None:
    with pytest.raises(BadInputError, match="no bucket can be called"):
        open_bucket(root, seconds=1.0)


def test_opening_a_bucket_connects_nothing() -> None:
    assert "gs://nobody-has-made-this/models" == open_bucket("gs://nobody-has-made-this/models/", seconds=1.0).uri()


def test_a_bucket_that_does_not_exist_is_not_an_empty_one(bucket: GoogleBucket, tmp_path: Path) -> None:
    """Else its journal would seem to hold nothing yet."""
    cloud = GcsBucket("gs://nobody-has-made-this", patience=SHORT)
    for ask in (
        lambda: cloud.names("journal/digits"),
        lambda: cloud.read("a"),
        lambda: cloud.read_all(["a", "b"]),
        lambda: cloud.create("a", b""),
        lambda: cloud.replace("a", b"", instead_of=None),
        lambda: cloud.sums("a"),
        lambda: cloud.checksums("a"),
        lambda: cloud.upload(written(tmp_path / "model", MODEL), "a"),
        lambda: cloud.copy("a", "b", expected={}),
    ):
        with pytest.raises(StorageError, match="gs://nobody-has-made-this does not exist; create it, or") as caught:
            ask()
        assert not isinstance(caught.value, MissingError)


def test_without_credentials_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """F38: found before anything is asked of Google."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))

    with pytest.raises(StorageError, match="no valid Google credentials; run `gcloud auth application-default login`"):
        GcsBucket("gs://some-bucket", patience=SHORT).read("a")


def test_a_large_file_is_read_back_in_pieces(bucket: GoogleBucket, proxy: FaultProxy, tmp_path: Path) -> None:
    """Whatever its size, no more than a piece of it is in memory."""
    model = written(tmp_path / "model", {"variables": os.urandom(2 * PIECE + 1)})
    cloud = GcsBucket(bucket.uri(), patience=SHORT)
    cloud.upload(model, "runs/model")

    assert sums_of(model) == cloud.sums("runs/model")
    assert 3 == len([each for each in proxy.seen if each.startswith("GET /download")])


def test_the_store_does_not_list_names_before_the_one_that_is_known(bucket: GoogleBucket, proxy: FaultProxy) -> None:
    cloud = GcsBucket(bucket.uri("a/prefix"), patience=SHORT)
    cloud.names("journal/digits", after="00000016.json")
    cloud.names("journal/digits")
    asked = [parse_qs(query) for each in proxy.seen if "delimiter" in (query := urlsplit(each).query)]

    assert [["a/prefix/journal/digits/00000016.json"], None] == [each.get("startOffset") for each in asked]


def test_every_write_names_the_generation_it_replaces(
    bucket: GoogleBucket, google: Any, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The store of these tests would not mind if a copy did not; Google does what is asked."""
    cloud = GcsBucket(bucket.uri(), patience=SHORT)
    cloud.create(CONFIG, b"first")
    first = google.get_blob(CONFIG).generation
    cloud.replace(CONFIG, b"second", instead_of=b"first")
    cloud.upload(written(tmp_path / "model", MODEL), "runs/model")
    cloud.copy("runs/model", "serve/1", expected=sums(MODEL))
    asked = [parse_qs(urlsplit(each).query) for each in proxy.seen if each.startswith("POST")]

    generations = [each["ifGenerationMatch"] for each in asked]
    assert [["0"], [str(first)]] + [["0"]] * 2 * len(MODEL) == generations
    assert len(MODEL) == len([each for each in asked if "sourceGeneration" in each])


def test_every_removal_names_the_generation_that_was_seen(
    cloud: GcsBucket, bucket: GoogleBucket, google: Any, proxy: FaultProxy, tmp_path: Path
) -> None:
    """`saved_model.pb` first; the store of these tests would not mind if it did not, Google does what is asked."""
    straight = GcsBucket(bucket.uri(), patience=SHORT)
    straight.upload(written(tmp_path / "model", MODEL), "serve/1")
    seen = {name: str(google.get_blob(f"serve/1/{name}").generation) for name in MODEL}
    assert straight.remove("serve/1")
    asked = [urlsplit(each.removeprefix("DELETE ")) for each in proxy.seen if each.startswith("DELETE")]

    removed = [(unquote(each.path).partition("serve/1/")[2], parse_qs(each.query)) for each in asked]
    assert "saved_model.pb" == removed[0][0]
    assert {name: {"ifGenerationMatch": [each]} for name, each in seen.items()} == {
        name: {"ifGenerationMatch": query["ifGenerationMatch"]} for name, query in removed
    }
