"""What only S3 has: ETags, checksums that an object carries or lacks, uploads in parts, other stores that speak it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.storage.objects import PIECE, Listed
from pipeline.storage.opening import open_bucket
from pipeline.storage.s3.bucket import S3Bucket
from pipeline.storage.s3.connection import Connection
from pipeline.storage.s3.objects import S3Objects
from pipeline.storage.sums import MARK, sum_of, sums_of
from tests.pipeline.storage.fault_proxy import FaultProxy
from tests.pipeline.storage.kinds import MODEL, SHORT, sums, written
from tests.pipeline.storage.s3_store import VARIABLE, S3Store, S3TestBucket, proxy, s3_bucket, s3_store

__all__ = ["proxy", "s3_bucket", "s3_store"]

CONFIG = "serve/digits.config"


@pytest.fixture
def s3(s3_bucket: S3TestBucket) -> S3Bucket:
    return S3Bucket(s3_bucket.uri(), patience=SHORT)


def test_no_cache_keeps_the_config(s3: S3Bucket, s3_bucket: S3TestBucket) -> None:
    """One in front of a bucket that is public would otherwise show an old one."""
    s3.replace(CONFIG, b"first", instead_of=None)
    s3.replace(CONFIG, b"second", instead_of=b"first")
    found = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=CONFIG)

    assert "no-store" == found["CacheControl"]
    assert "text/plain" == found["ContentType"]


def test_every_object_carries_its_checksum(s3: S3Bucket, s3_bucket: S3TestBucket, tmp_path: Path) -> None:
    s3.create(CONFIG, b"config")
    s3.upload(written(tmp_path / "model", MODEL), "runs/model")

    expected = {CONFIG: b"config"} | {f"runs/model/{name}": content for name, content in MODEL.items()}

    for key, content in expected.items():
        found = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=key, ChecksumMode="ENABLED")
        assert sum_of([content]).crc32c == found["ChecksumCRC32C"]


def test_checksums_are_looked_up_and_not_computed(s3: S3Bucket, proxy: FaultProxy, tmp_path: Path) -> None:
    s3.upload(written(tmp_path / "model", MODEL), "runs/model")
    proxy.seen.clear()

    assert {name: each.crc32c for name, each in sums(MODEL).items()} == s3.checksums("runs/model")
    assert len(MODEL) == len([each for each in proxy.seen if each.startswith("HEAD")])
    assert 1 == len([each for each in proxy.seen if each.startswith("GET")])


def test_what_carries_no_checksum_is_read(s3: S3Bucket, s3_bucket: S3TestBucket, tmp_path: Path) -> None:
    """A model that came with another tool."""
    s3_bucket.upload(written(tmp_path / "model", MODEL), "runs/model")

    assert {name: each.crc32c for name, each in sums(MODEL).items()} == s3.checksums("runs/model")
    assert s3.copy("runs/model", "serve/1", expected=sums(MODEL))


def test_content_that_is_not_what_was_stored_is_refused(s3: S3Bucket, s3_bucket: S3TestBucket) -> None:
    """The store of these tests keeps whatever checksum it is told; so this one is of something else."""
    s3_bucket.client.put_object(
        Bucket=s3_bucket.name,
        Key=CONFIG,
        Body=b"damaged",
        ChecksumAlgorithm="CRC32C",
        ChecksumCRC32C=sum_of([b"whole"]).crc32c,
    )

    with pytest.raises(StorageError, match=f"cannot read {CONFIG} .* the data arrived damaged"):
        s3.read(CONFIG)


def test_the_store_does_not_list_names_before_the_one_that_is_known(s3_bucket: S3TestBucket, proxy: FaultProxy) -> None:
    s3 = S3Bucket(s3_bucket.uri("a/prefix"), patience=SHORT)
    s3.names("journal/digits", after="00000016.json")
    s3.names("journal/digits")
    asked = [parse_qs(urlsplit(each).query) for each in proxy.seen if each.startswith("GET")]

    assert [["a/prefix/journal/digits/00000016.json"], None] == [each.get("start-after") for each in asked]


def test_every_write_names_what_it_replaces(s3_bucket: S3TestBucket, proxy: FaultProxy, tmp_path: Path) -> None:
    """The store of these tests would not mind if a copy did not; Amazon does what is asked."""
    s3 = S3Bucket(s3_bucket.uri(), patience=SHORT)
    s3.create(CONFIG, b"first")
    first = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=CONFIG)["ETag"]
    s3.replace(CONFIG, b"second", instead_of=b"first")
    s3.upload(written(tmp_path / "model", MODEL), "runs/model")
    s3.copy("runs/model", "serve/1", expected=sums(MODEL))
    asked = [each for request, each in zip(proxy.seen, proxy.headers, strict=True) if request.startswith("PUT")]

    conditions = [(each.get("If-None-Match"), each.get("If-Match")) for each in asked]
    assert [("*", None), (None, first)] + [("*", None)] * 2 * len(MODEL) == conditions
    assert len(MODEL) == len([each for each in asked if "x-amz-copy-source-if-match" in each])


def test_every_removal_names_what_it_removes(s3_bucket: S3TestBucket, proxy: FaultProxy, tmp_path: Path) -> None:
    """`saved_model.pb` first."""
    s3 = S3Bucket(s3_bucket.uri(), patience=SHORT)
    s3.upload(written(tmp_path / "model", MODEL), "serve/1")
    etags = {name: s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=f"serve/1/{name}")["ETag"] for name in MODEL}
    assert s3.remove("serve/1")
    removed = [
        (unquote(request).partition("serve/1/")[2], each["If-Match"])
        for request, each in zip(proxy.seen, proxy.headers, strict=True)
        if request.startswith("DELETE")
    ]

    assert MARK == removed[0][0]
    assert etags == dict(removed)


def test_a_large_file_is_read_back_in_pieces(s3_bucket: S3TestBucket, proxy: FaultProxy, tmp_path: Path) -> None:
    """Whatever its size, no more than a piece of it is in memory."""
    model = written(tmp_path / "model", {"variables": os.urandom(2 * PIECE + 1)})
    s3 = S3Bucket(s3_bucket.uri(), patience=SHORT)
    s3.upload(model, "runs/model")

    assert sums_of(model) == s3.sums("runs/model")
    assert 3 == len([each for each in proxy.headers if "Range" in each])


def test_a_file_too_large_for_one_request_is_refused(tmp_path: Path) -> None:
    """Before a byte of it is sent."""
    objects = S3Objects(Connection("s3://some-bucket", SHORT))

    with pytest.raises(StorageError, match=r"cannot copy a to b in s3://some-bucket: it has 6\.0 GiB and .* takes 5"):
        objects.rewrite("a", Listed("etag", 6 << 30, ""), "b")


@pytest.mark.parametrize("root", ["s3://Bucket", "s3://b", "s3://a b/c", "s3://-bucket-", "s3://a_b"])
def test_a_name_that_no_bucket_has_is_refused(root: str) -> None:
    with pytest.raises(BadInputError, match="no bucket can be called"):
        open_bucket(root, seconds=1.0)


def test_opening_a_bucket_connects_nothing() -> None:
    assert "s3://nobody-has-made-this/models" == open_bucket("s3://nobody-has-made-this/models/", seconds=1.0).uri()


def test_a_bucket_that_does_not_exist_is_not_an_empty_one(s3_store: S3Store, tmp_path: Path) -> None:
    """Else its journal would seem to hold nothing yet."""
    s3 = S3Bucket("s3://nobody-has-made-this", patience=SHORT)
    for ask in (
        lambda: s3.names("journal/digits"),
        lambda: s3.read("a"),
        lambda: s3.read_all(["a", "b"]),
        lambda: s3.create("a", b""),
        lambda: s3.replace("a", b"", instead_of=None),
        lambda: s3.sums("a"),
        lambda: s3.checksums("a"),
        lambda: s3.upload(written(tmp_path / "model", MODEL), "a"),
        lambda: s3.copy("a", "b", expected={}),
        lambda: s3.remove("a"),
        lambda: s3.tidy(older_than=datetime.now(UTC), dry_run=True),
    ):
        with pytest.raises(StorageError, match="s3://nobody-has-made-this does not exist; create it, or") as caught:
            ask()
        assert not isinstance(caught.value, MissingError)


def test_without_credentials_it_says_how_to_get_some(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """F38: found before anything is asked of Amazon."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(StorageError, match="no valid AWS credentials; set AWS_ACCESS_KEY_ID and"):
        S3Bucket("s3://some-bucket", patience=SHORT).read("a")


def test_uploads_nobody_has_finished_are_tidied_away(s3_bucket: S3TestBucket) -> None:
    """Those below the prefix, once they are old enough."""
    client, name = s3_bucket.client, s3_bucket.name
    for key in ("models/runs/a", "others/b"):
        client.create_multipart_upload(Bucket=name, Key=key)
    s3 = S3Bucket(s3_bucket.uri("models"), patience=SHORT)
    later = datetime.now(UTC) + timedelta(days=1)

    def unfinished() -> list[str]:
        return sorted(each["Key"] for each in client.list_multipart_uploads(Bucket=name).get("Uploads", []))

    assert [] == s3.tidy(older_than=datetime(2001, 1, 1, tzinfo=UTC), dry_run=False)
    (said,) = s3.tidy(older_than=later, dry_run=True)
    assert said.startswith("models/runs/a, an unfinished upload, ")
    assert ["models/runs/a", "others/b"] == unfinished()

    assert 1 == len(s3.tidy(older_than=later, dry_run=False))
    assert ["others/b"] == unfinished()
    assert [] == s3.tidy(older_than=later, dry_run=False)


def test_only_a_store_that_is_not_amazons_is_asked_by_path(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon has a name in DNS for every bucket; MinIO as it comes has not."""
    own = Connection("s3://some-bucket", SHORT).client
    monkeypatch.delenv(VARIABLE)
    amazons = Connection("s3://some-bucket", SHORT).client
    addresses = [
        each.generate_presigned_url("get_object", Params={"Bucket": "some-bucket", "Key": "a"}).partition("?")[0]
        for each in (own, amazons)
    ]

    assert [f"{s3_store.endpoint}/some-bucket/a", "https://some-bucket.s3.amazonaws.com/a"] == addresses
