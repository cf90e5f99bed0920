"""What every bucket must do: the local disk, memory, Google Cloud Storage and S3.

Here Google Cloud Storage is fake-gcs-server, and S3 is moto.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import google_crc32c
import pytest

from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK, sum_of
from tests.hunts import hunt, hunt_cases
from tests.object_storage import Bucket as GoogleBucket
from tests.object_storage import ObjectStore, store
from tests.pipeline.storage.kinds import MODEL, Kind, cloud, local, memory, s3, sums, written
from tests.pipeline.storage.s3_store import S3Store, S3TestBucket, s3_store

__all__ = ["s3_store", "store"]

# Of a store, the bucket itself, and a part of it; the parts of both are left to `make prove`.
CLOUD = ("cloud", "cloud with a prefix")
S3 = ("s3", "s3 with a prefix")
WRITERS = 16
CONFIG = "serve/digits.config"
STAGED = "runs/digits/manual-1/model"
SERVED = "serve/digits/1"
NEIGHBOUR = "serve/digits/12"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Remote:
    """A bucket in an object store: ours below any prefix of it, and what other tools do to it."""

    kind: Callable[[str], Kind]
    tools: GoogleBucket | S3TestBucket

    def opened(self, prefix: str = "") -> Bucket:
        return self.kind(self.tools.uri(prefix)).opened()


@contextmanager
def remote_in(store: str, request: pytest.FixtureRequest) -> Iterator[Remote]:
    """A new one; the store's own fixture is asked for only now, so that no other store is started."""
    kind, fixture = {"cloud": (cloud, "store"), "s3": (s3, "s3_store")}[store]
    objects: ObjectStore | S3Store = request.getfixturevalue(fixture)
    tools = objects.bucket()
    yield Remote(kind, tools)
    tools.close()


# A disk's folder goes at once with all that is in it, and fake-gcs-server removes without conditions.
keeping_newer = pytest.mark.parametrize("kind", ["memory", *hunt_cases(S3, in_make_test=S3[:1])], indirect=True)


@pytest.fixture(params=["local", "memory", *hunt_cases([*CLOUD, *S3], in_make_test=[CLOUD[0], S3[0]])])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "local":
        yield local(tmp_path / "bucket")
    elif request.param == "memory":
        yield memory()
    else:
        store, _, prefix = request.param.partition(" with ")
        with remote_in(store, request) as made:
            yield made.kind(made.tools.uri("a/prefix" if prefix else ""))


@pytest.fixture(params=["cloud", "s3"])
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    with remote_in(request.param, request) as made:
        yield made


@pytest.fixture
def bucket(kind: Kind) -> Bucket:
    return kind.opened()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "model", MODEL)


def at_once(kind: Kind, act: Callable[[Bucket, int], Result], *, writers: int = WRITERS) -> list[Result]:
    """What `act` returns in each of many writers with a bucket of their own, who begin together."""
    barrier = threading.Barrier(writers)

    def begin(number: int) -> Result:
        bucket = kind.opened()
        barrier.wait()
        return act(bucket, number)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(begin, range(writers)))


def test_a_local_copy_has_every_file_as_it_is_stored(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    bucket.create(f"{STAGED}-2/saved_model.pb", b"a neighbour")
    with bucket.local_copy(STAGED) as folder:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert found == MODEL
    assert MODEL.keys() == bucket.sums(STAGED).keys()


def test_a_local_copy_of_nothing_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(MissingError, match=f"no folder {STAGED}"), bucket.local_copy(STAGED):
        pass


def test_a_download_is_deleted_when_it_is_not_needed_any_more(remote: Remote, model: Path) -> None:
    bucket = remote.opened()
    bucket.upload(model, STAGED)
    with bucket.local_copy(STAGED) as folder:
        assert folder.exists()

    assert not folder.exists()


def test_an_object_whose_name_leads_out_of_the_folder_is_not_downloaded(remote: Remote, model: Path) -> None:
    bucket = remote.opened()
    bucket.upload(model, STAGED)
    remote.tools.write(f"{STAGED}/variables/../../escaped", "any")

    with pytest.raises(StorageError, match="is not the name of a file in a folder"), bucket.local_copy(STAGED):
        pass


def test_creating_what_exists_changes_nothing(bucket: Bucket) -> None:
    assert bucket.create("a/b.json", b"first")
    assert not bucket.create("a/b.json", b"second")

    assert b"first" == bucket.read("a/b.json")


def test_creating_the_same_again_says_it_is_there(bucket: Bucket) -> None:
    """Whoever repeats a call that was cut off gets the answer of the first."""
    assert bucket.create("a/b.json", b"first")
    assert bucket.create("a/b.json", b"first")


def test_of_many_who_create_at_once_exactly_one_does(kind: Kind, bucket: Bucket) -> None:
    key = "journal/digits/00000001.json"
    created = at_once(kind, lambda each, number: each.create(key, str(number).encode()))

    assert 1 == created.count(True)
    assert str(created.index(True)).encode() == bucket.read(key)


def test_all_who_create_the_same_at_once_are_told_it_is_there(kind: Kind) -> None:
    assert [True] * WRITERS == at_once(kind, lambda each, _: each.create("runs/a.json", b"the same"))


def test_replacing_needs_to_know_what_is_there(bucket: Bucket) -> None:
    assert not bucket.replace(CONFIG, b"two", instead_of=b"one")
    assert bucket.replace(CONFIG, b"one", instead_of=None)
    assert not bucket.replace(CONFIG, b"two", instead_of=None)
    assert not bucket.replace(CONFIG, b"two", instead_of=b"another")
    assert b"one" == bucket.read(CONFIG)

    assert bucket.replace(CONFIG, b"two", instead_of=b"one")
    assert b"two" == bucket.read(CONFIG)


def test_what_was_created_can_be_replaced(bucket: Bucket) -> None:
    bucket.create(CONFIG, b"")

    assert bucket.replace(CONFIG, b"one", instead_of=b"")
    assert b"one" == bucket.read(CONFIG)


def test_no_replacement_is_lost(kind: Kind, bucket: Bucket) -> None:
    """Many count up, one step each, and repeat what was refused: every step counts."""
    bucket.create(CONFIG, b"0")

    def count(each: Bucket, number: int) -> None:
        while True:
            content = each.read(CONFIG)
            if each.replace(CONFIG, str(int(content) + 1).encode(), instead_of=content):
                return

    at_once(kind, count)

    assert str(WRITERS).encode() == bucket.read(CONFIG)


def test_replacing_shows_the_old_or_the_new_never_a_part(kind: Kind, bucket: Bucket) -> None:
    contents = [b"a" * 200_000, b"b" * 300_000]
    bucket.create(CONFIG, contents[0])
    seen = []
    done = threading.Event()

    def read() -> None:
        mine = kind.opened()
        while not done.is_set():
            seen.append(mine.read(CONFIG))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for turn in range(30):
            assert bucket.replace(CONFIG, contents[(turn + 1) % 2], instead_of=contents[turn % 2])
        done.set()
        reading.result()

    assert seen
    assert set(seen) <= set(contents)


def test_reading_what_is_not_there_says_so(bucket: Bucket) -> None:
    with pytest.raises(MissingError, match=r"cannot read runs/x\.json"):
        bucket.read("runs/x.json")
    for ask in (bucket.sums, bucket.checksums):
        with pytest.raises(MissingError, match="no folder serve/digits/9"):
            ask("serve/digits/9")


def test_many_are_read_in_their_order(bucket: Bucket) -> None:
    keys = [f"journal/digits/{number:08d}.json" for number in range(40)]
    for key in keys:
        bucket.create(key, key.encode())

    assert [key.encode() for key in reversed(keys)] == bucket.read_all(keys[::-1])
    assert [] == bucket.read_all([])


def test_one_that_is_missing_among_many_is_named(bucket: Bucket) -> None:
    bucket.create("a/1", b"")

    with pytest.raises(MissingError, match="cannot read a/2"):
        bucket.read_all(["a/1", "a/2"])


def test_names_are_those_directly_below(bucket: Bucket) -> None:
    for key in (
        "serve/digits/2/saved_model.pb",
        "serve/digits/10/saved_model.pb",
        "serve/digits/a",
        "serve/digits.config",
    ):
        bucket.create(key, b"")

    assert ["10", "2", "a"] == bucket.names("serve/digits")
    assert ["digits", "digits.config"] == bucket.names("serve")
    assert [] == bucket.names("serve/digi")
    assert [] == bucket.names("journal/digits")


def test_names_after_one_are_those_that_sort_after_it(bucket: Bucket) -> None:
    """Files and folders alike; a folder of that very name is not after itself, nor is what is in it."""
    names = ["00000001", "00000002-ab", "00000002.json", "00000003", "00000004"]
    for key in ("00000001/a", *names[1:3], "00000003/b/c", "00000003/d", "00000004"):
        bucket.create(f"journal/digits/{key}", b"")
    bucket.create("journal/digits-2/00000005", b"a neighbour")
    expected = {
        "": names,
        "00000001": names[1:],
        "00000002": names[1:],  # there is none of this name
        "00000002-ab": names[2:],
        "00000002~": names[3:],
        "00000003": names[4:],  # a folder
        "00000004": [],
        "9": [],
    }

    assert expected == {after: bucket.names("journal/digits", after=after) for after in expected}


def test_names_after_one_of_a_folder_that_is_not_there_are_none(bucket: Bucket) -> None:
    assert [] == bucket.names("journal/digits", after="00000001.json")


def test_names_are_sorted_by_their_code_points(bucket: Bucket) -> None:
    for name in ("é", "z", "a", "Z", "0"):
        bucket.create(f"a/{name}", b"")

    assert ["0", "Z", "a", "z", "é"] == bucket.names("a")
    assert ["a", "z", "é"] == bucket.names("a", after="Z")


@hunt
def test_a_listing_of_several_pages_is_complete(remote: Remote) -> None:
    """A store answers with a thousand names at most; the offset holds for every page."""
    keys = [f"journal/digits/{number:08d}.json" for number in range(1, 1_030)]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda key: remote.tools.write(key, b""), keys))
    names = [key.rpartition("/")[2] for key in keys]
    bucket = remote.opened()

    assert names == bucket.names("journal/digits")
    assert names[5:] == bucket.names("journal/digits", after=names[4])


def test_the_address_of_a_key_is_below_that_of_the_bucket(bucket: Bucket) -> None:
    assert bucket.uri().rstrip("/") + "/serve/digits/1" == bucket.uri("serve/digits/1")


def test_an_uploaded_folder_is_there_with_every_byte(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)

    for name, content in MODEL.items():
        assert content == bucket.read(f"{STAGED}/{name}")


def test_uploading_again_leaves_what_is_there(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    (model / "saved_model.pb").write_bytes(b"another graph")
    bucket.upload(model, STAGED)

    assert b"graph" == bucket.read(f"{STAGED}/saved_model.pb")


def test_an_upload_that_stopped_half_way_is_completed(kind: Kind, bucket: Bucket, model: Path) -> None:
    stopped_half_way(kind, bucket, STAGED)
    bucket.upload(model, STAGED)

    assert sums(MODEL) == bucket.sums(STAGED)


def test_many_may_upload_the_same_at_once(kind: Kind, bucket: Bucket, model: Path) -> None:
    at_once(kind, lambda each, _: each.upload(model, STAGED))

    assert sums(MODEL) == bucket.sums(STAGED)


def test_sums_are_what_hashlib_says(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)

    found = bucket.sums(STAGED)

    assert set(MODEL) == set(found)
    for name, content in MODEL.items():
        crc32c = google_crc32c.value(content).to_bytes(4, "big")
        assert len(content) == found[name].size
        assert hashlib.sha256(content).hexdigest() == found[name].sha256
        assert base64.b64encode(crc32c).decode() == found[name].crc32c


def test_checksums_agree_with_sums(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)

    assert {name: each.crc32c for name, each in bucket.sums(STAGED).items()} == bucket.checksums(STAGED)


def test_a_copy_is_complete_and_the_source_stays(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    bucket.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == bucket.sums(SERVED)
    assert sums(MODEL) == bucket.sums(STAGED)


def test_copying_again_changes_nothing(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    bucket.copy(STAGED, SERVED, expected=sums(MODEL))
    bucket.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == bucket.sums(SERVED)


def test_many_may_copy_the_same_at_once(kind: Kind, bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    at_once(kind, lambda each, _: each.copy(STAGED, SERVED, expected=sums(MODEL)), writers=4)

    assert sums(MODEL) == bucket.sums(SERVED)


def test_a_copy_that_stopped_half_way_is_completed(kind: Kind, bucket: Bucket, model: Path) -> None:
    """F5: the same version with the same bytes."""
    bucket.upload(model, STAGED)
    stopped_half_way(kind, bucket, SERVED)
    bucket.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == bucket.sums(SERVED)


@pytest.mark.parametrize("name", ["variables/variables.index", "saved_model.pb", "fingerprint.pb"])
def test_a_damaged_source_is_refused_and_nothing_is_visible(bucket: Bucket, model: Path, name: str) -> None:
    bucket.upload(model, STAGED)
    assert bucket.replace(f"{STAGED}/{name}", b"damaged", instead_of=MODEL[name])

    with pytest.raises(DamagedError, match=f"{STAGED} is not what was approved: {name} differs$"):
        bucket.copy(STAGED, SERVED, expected=sums(MODEL))
    assert MARK not in bucket.names(SERVED)


def test_every_damage_of_a_source_is_named(bucket: Bucket, tmp_path: Path) -> None:
    bucket.upload(written(tmp_path / "other", {"a": b"1", "b": b"2", "c": b"3"}), STAGED)

    with pytest.raises(DamagedError, match=r"saved_model\.pb is missing, c does not belong there, a differs$"):
        bucket.copy(STAGED, SERVED, expected=sums({"a": b"one", "b": b"2", "saved_model.pb": b"graph"}))
    assert [] == bucket.names(SERVED)


def test_copying_from_nowhere_says_so(bucket: Bucket) -> None:
    with pytest.raises(MissingError, match=f"no folder {STAGED}"):
        bucket.copy(STAGED, SERVED, expected=sums(MODEL))
    assert [] == bucket.names(SERVED)


def test_a_file_in_the_target_that_is_not_ours_is_named(kind: Kind, bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    bucket.create(f"{SERVED}/variables/extra", b"")

    with pytest.raises(
        DamagedError, match=f"{SERVED} is not what was approved: .*variables/extra does not belong there"
    ):
        bucket.copy(STAGED, SERVED, expected=sums(MODEL))
    assert MARK not in bucket.names(SERVED)


def test_a_target_that_holds_something_else_is_refused_and_kept(bucket: Bucket, tmp_path: Path, model: Path) -> None:
    """I2: the content of a version never changes."""
    bucket.upload(model, STAGED)
    bucket.upload(written(tmp_path / "other", MODEL | {"variables/variables.index": b"other"}), SERVED)

    with pytest.raises(DamagedError, match=r"variables/variables\.index differs$"):
        bucket.copy(STAGED, SERVED, expected=sums(MODEL))
    assert b"other" == bucket.read(f"{SERVED}/variables/variables.index")


@pytest.fixture
def served(bucket: Bucket, model: Path) -> Bucket:
    """One that holds a staged model, and two versions of it."""
    bucket.upload(model, STAGED)
    for key in (SERVED, NEIGHBOUR):
        assert bucket.copy(STAGED, key, expected=sums(MODEL), still=lambda: True)
    return bucket


def test_a_copy_that_is_not_wanted_any_more_shows_nothing(bucket: Bucket, model: Path) -> None:
    """Neither a model nor a half of one; and it can be made up for."""
    bucket.upload(model, STAGED)

    assert not bucket.copy(STAGED, SERVED, expected=sums(MODEL), still=lambda: False)
    assert MARK not in bucket.names(SERVED)

    assert bucket.copy(STAGED, SERVED, expected=sums(MODEL), still=lambda: True)
    assert sums(MODEL) == bucket.sums(SERVED)


def test_a_copy_asks_while_nothing_is_visible_yet(bucket: Bucket, model: Path) -> None:
    bucket.upload(model, STAGED)
    names: list[str] = []

    def still() -> bool:
        names.extend(["asked", *bucket.names(SERVED)])
        return True

    assert bucket.copy(STAGED, SERVED, expected=sums(MODEL), still=still)
    assert ["asked"] == [name for name in names if name in {"asked", MARK}]


def test_what_is_there_already_is_not_asked_about(served: Bucket) -> None:
    """Whoever repeats a copy, or a removal, gets the answer of the first."""
    assert served.copy(STAGED, SERVED, expected=sums(MODEL), still=lambda: False)
    assert served.remove("serve/digits/7", still=lambda: False)


def test_what_is_removed_is_gone_and_the_rest_stays(served: Bucket) -> None:
    assert served.remove(SERVED, still=lambda: True)

    assert [] == served.names(SERVED)
    with pytest.raises(MissingError, match=f"no folder {SERVED}"):
        served.sums(SERVED)
    assert ["12"] == served.names("serve/digits")
    assert sums(MODEL) == served.sums(NEIGHBOUR)
    assert sums(MODEL) == served.sums(STAGED)


def test_removing_again_changes_nothing(served: Bucket) -> None:
    assert served.remove(SERVED)
    assert served.remove(SERVED)

    assert ["12"] == served.names("serve/digits")


def test_what_was_removed_can_be_copied_again(served: Bucket) -> None:
    assert served.remove(SERVED)
    assert served.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == served.sums(SERVED)


def test_a_removal_that_is_not_wanted_any_more_leaves_everything(served: Bucket) -> None:
    assert not served.remove(SERVED, still=lambda: False)

    assert sums(MODEL) == served.sums(SERVED)


def test_a_removal_that_stopped_half_way_is_completed(kind: Kind, bucket: Bucket) -> None:
    """`saved_model.pb` has gone, other files have not."""
    stopped_half_way(kind, bucket, SERVED)

    assert bucket.remove(SERVED)
    assert [] == bucket.names(SERVED)


def test_many_may_remove_the_same_at_once(kind: Kind, served: Bucket) -> None:
    assert [True] * 4 == at_once(kind, lambda each, _: each.remove(SERVED), writers=4)
    assert ["12"] == served.names("serve/digits")


def test_a_server_never_sees_a_model_without_its_weights(kind: Kind, served: Bucket) -> None:
    """TensorFlow Serving would load it, and fail every request: `saved_model.pb` is the first to go."""
    watcher = kind.opened()
    seen: list[tuple[bool, bool]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            # The weights first: if they are gone by then, the mark must be gone as well.
            rest = all(there(watcher, f"{SERVED}/{name}") for name in MODEL if name != MARK)
            seen.append((rest, there(watcher, f"{SERVED}/{MARK}")))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        while not seen:
            time.sleep(0.001)
        assert served.remove(SERVED)
        done.set()
        watching.result()

    assert (True, True) == seen[0]
    assert (False, True) not in seen


@keeping_newer
@pytest.mark.parametrize("name", ["variables/variables.index", "variables/another"])
def test_what_was_written_since_a_removal_looked_stays(served: Bucket, name: str) -> None:
    """It belongs to whoever wrote it."""
    key = f"{SERVED}/{name}"

    def meanwhile() -> bool:
        return served.replace(key, b"theirs", instead_of=MODEL.get(name))

    assert not served.remove(SERVED, still=meanwhile)
    assert {name: sum_of([b"theirs"])} == served.sums(SERVED)

    assert served.remove(SERVED)
    assert [] == served.names(SERVED)


@keeping_newer
def test_a_model_that_appeared_since_a_removal_looked_keeps_its_files(served: Bucket) -> None:
    """Its `saved_model.pb` is there again, and needs the rest."""

    def meanwhile() -> bool:
        return served.replace(f"{SERVED}/{MARK}", b"theirs", instead_of=MODEL[MARK])

    assert not served.remove(SERVED, still=meanwhile)
    assert sums(MODEL | {MARK: b"theirs"}) == served.sums(SERVED)


def test_tidying_leaves_every_object(served: Bucket) -> None:
    served.create(CONFIG, b"one")
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    assert [] == served.tidy(older_than=tomorrow, dry_run=True)
    assert [] == served.tidy(older_than=tomorrow, dry_run=False)
    assert b"one" == served.read(CONFIG)
    assert sums(MODEL) == served.sums(SERVED)


def test_a_prefix_is_a_world_of_its_own(remote: Remote) -> None:
    whole, below = remote.opened(), remote.opened("models")
    below.create("runs/a.json", b"a")

    assert b"a" == whole.read("models/runs/a.json")
    assert ["runs"] == whole.names("models")
    assert [] == whole.names("runs")
    assert ["a.json"] == below.names("runs")


def test_a_folder_made_by_hand_is_no_file(remote: Remote, model: Path) -> None:
    """The stores' consoles make an empty object whose name ends with a slash."""
    bucket = remote.opened()
    bucket.upload(model, STAGED)
    for key in ("runs/", f"{STAGED}/", f"{STAGED}/variables/", f"{SERVED}/"):
        remote.tools.write(key, b"")
    bucket.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == bucket.sums(STAGED)
    assert sums(MODEL) == bucket.sums(SERVED)
    assert ["digits"] == bucket.names("runs")


def there(bucket: Bucket, key: str) -> bool:
    try:
        bucket.read(key)
    except MissingError:
        return False
    return True


def stopped_half_way(kind: Kind, bucket: Bucket, key: str) -> None:
    """Where a folder cannot appear at once, some of its files are there."""
    if kind.leaves_parts:
        bucket.create(f"{key}/variables/variables.index", MODEL["variables/variables.index"])
