"""What every tree of files must do: the local disk, Google Cloud Storage (fake-gcs-server) and S3 (moto)."""

import hashlib
import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInputError, StorageError
from pipeline.storage import objects, range_stream
from pipeline.storage.gcs.connection import Connection as GcsConnection
from pipeline.storage.gcs.reads import GcsReads
from pipeline.storage.object_tree import ObjectTree
from pipeline.storage.opening import open_tree
from pipeline.storage.s3.connection import Connection as S3Connection
from pipeline.storage.s3.reads import S3Reads
from pipeline.storage.single_file import SingleFileTree
from pipeline.storage.tree import Tree, UnreadableError
from tests.object_storage import VARIABLE as GCS_VARIABLE
from tests.object_storage import store
from tests.pipeline.storage.fault_proxy import FaultProxy, lost_before, refused, s3_refused
from tests.pipeline.storage.kinds import SHORT
from tests.pipeline.storage.s3_store import VARIABLE as S3_VARIABLE
from tests.pipeline.storage.s3_store import s3_store

__all__ = ["s3_store", "store"]

STORES = ("gcs", "gcs with a prefix", "s3", "s3 with a prefix")
# In the order of their full names, in which `/` comes after `-` and `.`.
NAMES = [
    "cat-2/1.png",
    "cat.txt",
    "cat/1.png",
    "cat/#1 100%?.png",
    "cat/a+b&c=d.png",
    "cat/deep/er/1.png",
    "cat/e\u0301t\u00e9/1.png",
    "cat/the 1st.png",
    "cat/\U0001f600.png",
    "z.txt",
]
IN_ORDER = sorted(NAMES)


@dataclass
class Place:
    """A root, what other tools do to it, and the tree under test."""

    write: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    tree: Callable[[], Tree]


def on_disk(root: Path) -> Place:
    root.mkdir()

    def write(name: str, content: bytes) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)

    return Place(write, lambda name: (root / name).unlink(), lambda: open_tree(str(root), seconds=3))


def store_tree(uri: str, **options: int) -> ObjectTree:
    patience = replace(SHORT, retries=1, pause=0.1)
    if uri.startswith("gs:"):
        return ObjectTree(GcsReads(GcsConnection(uri, patience, setting="data.images", role="some role"), **options))
    return ObjectTree(S3Reads(S3Connection(uri, patience, setting="data.images"), **options))


@contextmanager
def in_store(kind: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A new bucket; the store's own fixture is asked for only now, so that no other store is started."""
    store: Any = request.getfixturevalue("store" if kind.startswith("gcs") else "s3_store")
    tools = store.bucket()
    prefix = "data/pets #1" if kind.endswith("prefix") else ""
    start = f"{prefix}/" if prefix else ""
    # A neighbour whose name begins with the prefix.
    if prefix:
        tools.write(f"{prefix}0/neighbour.png", b"any")
    yield Place(
        lambda name, content: tools.write(f"{start}{name}", content),
        lambda name: tools.remove(f"{start}{name}"),
        lambda: store_tree(tools.uri(prefix)),
    )
    tools.close()


@pytest.fixture(params=["disk", *STORES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield on_disk(tmp_path / "root")
        return
    with in_store(request.param, request) as made:
        yield made


@pytest.fixture(params=["gcs", "s3"])
def remote(request: pytest.FixtureRequest) -> Iterator[Place]:
    with in_store(request.param, request) as made:
        yield made


@pytest.fixture
def proxy(remote: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Whoever connects to the store of `remote` from now on comes through here."""
    kind, variable = ("store", GCS_VARIABLE) if "gcs" in request.node.callspec.id else ("s3_store", S3_VARIABLE)
    made = FaultProxy(request.getfixturevalue(kind))
    made.start()
    monkeypatch.setenv(variable, made.endpoint)
    yield made
    made.stop()


def no_report(path: str, problem: str) -> None:
    pytest.fail(f"reported: {path} {problem}")


def requests_for_objects(proxy: FaultProxy) -> list[str]:
    """Without the one request for the bucket itself that Google's library sends in the background."""
    return [line for line in proxy.seen if not re.fullmatch(r"GET /storage/v1/b/[^/]+", line)]


def names(tree: Tree) -> list[str]:
    return [found.name for found in tree.files(no_report)]


def test_files_are_listed_with_their_sizes_in_the_order_of_their_full_names(place: Place) -> None:
    for name in NAMES:
        place.write(name, name.encode())

    found = list(place.tree().files(no_report))

    assert IN_ORDER == [each.name for each in found]
    assert [len(name.encode()) for name in IN_ORDER] == [each.size for each in found]


def test_what_was_listed_can_be_read_streamed_and_found(place: Place) -> None:
    for name in NAMES:
        place.write(name, name.encode())
    tree = place.tree()

    for found in tree.files(no_report):
        assert found.name.encode() == tree.read(found.name)
        with tree.open(found.name) as stream:
            assert found.name.encode() == stream.read()
        assert found.name == tree.find(found.name).name
        assert found.size == tree.find(found.name).size
        assert f"{tree.address}/{found.name}" == tree.shown(found.name)


def test_a_root_without_files_is_empty(place: Place) -> None:
    assert [] == names(place.tree())
    assert [] == place.tree().folders()


def test_folders_are_named_and_what_is_below_each(place: Place) -> None:
    for name in NAMES:
        place.write(name, b"any")
    tree = place.tree()

    assert ["cat", "cat-2"] == tree.folders()
    assert ["deep", "e\u0301t\u00e9"] == tree.folders("cat")
    assert [] == tree.folders("cat-2")
    assert [] == tree.folders("gone")


def test_what_systems_and_tools_leave_is_skipped_and_said_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name in ("cat/1.png", "Windows/1.png", "cat/a.b/1.png"):
        place.write(name, b"any")
    left = [".cache/1.png", "@eaDir/2.png", "__MACOSX/deep/3.png", "cat/.ipynb_checkpoints/1.png"]
    left += ["cat/Thumbs.db", "cat/desktop.ini", "cat/._1.png", ".DS_Store"]
    for name in left:
        place.write(name, b"any")

    assert ["Windows/1.png", "cat/1.png", "cat/a.b/1.png"] == names(place.tree())
    assert ["Windows", "cat"] == place.tree().folders()
    assert 1 == len([record for record in caplog.records if "skipped" in record.message])
    assert "skipped 8 hidden or system files and folders: " in caplog.text


def test_a_file_that_vanished_since_it_was_listed_is_said_to_be_gone(place: Place) -> None:
    place.write("cat/1.png", b"any")
    tree = place.tree()
    assert ["cat/1.png"] == names(tree)
    place.remove("cat/1.png")

    for read in (tree.read, tree.open, tree.find):
        with pytest.raises(UnreadableError, match=r"^does not exist$"):
            read("cat/1.png")


def test_a_stream_can_be_read_from_any_position(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_stream, "PIECE", 1000)
    content = hashlib.shake_128(b"").digest(10_500)
    place.write("shard", content)

    with place.tree().open("shard") as stream:
        assert content[:10] == stream.read(10)
        assert 10_000 == stream.seek(-500, io.SEEK_END)
        assert content[10_000:] == stream.read()
        assert b"" == stream.read(1)
        stream.seek(995)
        assert content[995:3005] == stream.read(2010)
        stream.seek(0)
        assert content == stream.read()


def test_an_empty_file_is_read_as_one(place: Place) -> None:
    place.write("empty", b"")
    tree = place.tree()

    assert [0] == [found.size for found in tree.files(no_report)]
    assert b"" == tree.read("empty")
    with tree.open("empty") as stream:
        assert b"" == stream.read()


def test_a_single_file_is_a_tree_of_its_own(place: Place) -> None:
    place.write("a/1.tfrecord", b"content")
    place.write("a/2.tfrecord", b"other")
    tree = SingleFileTree(place.tree(), "a/1.tfrecord", setting="data.images")

    assert ["a/1.tfrecord"] == names(tree)
    assert b"content" == tree.read("a/1.tfrecord")
    assert tree.shown("a/1.tfrecord") == tree.address
    with pytest.raises(BadInputError, match=r"data\.images: .*gone does not exist; correct the path"):
        list(SingleFileTree(place.tree(), "gone", setting="data.images").files(no_report))


def test_a_stamp_in_a_store_follows_the_content(remote: Place) -> None:
    def stamp() -> str:
        (found,) = remote.tree().files(no_report)
        assert remote.tree().find("1.png") == found
        return found.stamp

    remote.write("1.png", b"one")
    first = stamp()
    remote.write("1.png", b"two")
    second = stamp()
    remote.write("1.png", b"one")

    assert first
    assert first != second
    assert first == stamp()


def test_many_pages_are_one_listing_without_a_request_per_object(remote: Place, proxy: FaultProxy) -> None:
    expected = [f"class {number % 4}/{number:02}.png" for number in range(20)]
    for name in expected:
        remote.write(name, b"any")
    tree = store_tree(remote.tree().address, page=3)

    assert sorted(expected) == names(tree)
    assert 7 == len(requests_for_objects(proxy))
    assert [f"class {number}" for number in range(4)] == tree.folders()


def test_a_listing_goes_on_after_a_page_that_did_not_arrive(remote: Place, proxy: FaultProxy) -> None:
    expected = [f"{number}.png" for number in range(9)]
    for name in expected:
        remote.write(name, b"any")
    files = store_tree(remote.tree().address, page=3).files(no_report)
    first = next(files)
    proxy.inject(lost_before, times=2)

    assert expected == [first.name, *(found.name for found in files)]


def test_a_file_is_read_with_one_request(remote: Place, proxy: FaultProxy) -> None:
    remote.write("1.png", b"content")

    assert b"content" == remote.tree().read("1.png")
    assert ["GET"] == [line.split()[0] for line in requests_for_objects(proxy)]


@pytest.mark.parametrize("use", ["files", "folders", "read", "open"])
def test_a_store_that_does_not_answer_is_not_an_empty_one(remote: Place, proxy: FaultProxy, use: str) -> None:
    proxy.inject(lost_before)
    tree = remote.tree()
    uses: dict[str, Callable[[], object]] = {
        "files": lambda: list(tree.files(no_report)),
        "folders": tree.folders,
        "read": lambda: tree.read("1.png"),
        "open": lambda: tree.open("1.png"),
    }

    with pytest.raises(objects.UnansweredError, match="without success; try again once the network"):
        uses[use]()


def test_a_store_that_refuses_says_what_to_grant(remote: Place, proxy: FaultProxy) -> None:
    tree = remote.tree()
    is_google = tree.address.startswith("gs:")
    proxy.inject(refused(403) if is_google else s3_refused(403, "AccessDenied"))

    with pytest.raises(StorageError, match="grant this account some role on" if is_google else "s3:ListBucket on"):
        list(tree.files(no_report))


@pytest.mark.parametrize("fixture", ["store", "s3_store"])
def test_a_bucket_that_does_not_exist_is_no_empty_one(fixture: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(fixture)
    scheme = {"store": "gs", "s3_store": "s3"}[fixture]

    with pytest.raises(StorageError, match=f"the bucket {scheme}://not-there does not exist.* correct data.images"):
        list(open_tree(f"{scheme}://not-there/images", seconds=1).files(no_report))


def test_a_stream_of_an_object_that_is_replaced_meanwhile_is_not_a_mixture(
    remote: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_stream, "PIECE", 1000)
    remote.write("shard", b"a" * 3000)
    with remote.tree().open("shard") as stream:
        stream.read(10)
        remote.write("shard", b"b" * 3000)

        with pytest.raises(UnreadableError, match=r"was replaced while it was read|does not exist"):
            stream.read()


@pytest.mark.parametrize("address", ["s3://", "gs:///", "azure://bucket", "http://s3.example/bucket"])
def test_any_other_address_is_refused(address: str) -> None:
    with pytest.raises(BadInputError, match=r"data\.images: .* is neither a path nor gs://bucket/prefix or s3://"):
        open_tree(address, seconds=1)


@pytest.mark.parametrize("address", ["gs://A/x", "s3://a_b/x"])
def test_a_bucket_with_an_impossible_name_is_refused(address: str) -> None:
    with pytest.raises(BadInputError, match="no bucket can be called"):
        open_tree(address, seconds=1)


def test_a_sample_has_a_few_names_and_skips_what_is_hidden(place: Place) -> None:
    for name in (*NAMES, ".cache/1.png"):
        place.write(name, b"any")

    assert IN_ORDER == sorted(place.tree().sample(1000))
    assert 3 == len(place.tree().sample(3))
    assert set(place.tree().sample(3)) < set(NAMES)
