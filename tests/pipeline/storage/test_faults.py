"""Google Cloud Storage that refuses, loses, delays or is gone: what is said afterwards is true."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.storage.gcs.bucket import GcsBucket
from pipeline.storage.sums import MARK
from tests.object_storage import VARIABLE, bucket, store
from tests.object_storage import Bucket as GoogleBucket
from tests.pipeline.storage.fault_proxy import (
    WAIT,
    Answer,
    Fault,
    FaultProxy,
    Held,
    lost_after,
    lost_before,
    proxy,
    refused,
)
from tests.pipeline.storage.kinds import MODEL, SHORT, sums, written

__all__ = ["bucket", "proxy", "store"]

WRITE = "POST /upload"
COPY = "/rewriteTo/"
READ = "GET /download"
REMOVE = "DELETE"
ENTRY = "journal/digits/00000001.json"
CONFIG = "serve/digits.config"
STAGED = "runs/digits/manual-1/model"
SERVED = "serve/digits/1"

Result = TypeVar("Result")


@pytest.fixture
def cloud(bucket: GoogleBucket, proxy: FaultProxy) -> GcsBucket:
    """Ours, with the proxy in its way; `bucket` is the same one, straight to the store."""
    return GcsBucket(bucket.uri(), patience=SHORT)


@pytest.fixture
def hasty(bucket: GoogleBucket, proxy: FaultProxy) -> GcsBucket:
    """One that gives up soon."""
    return GcsBucket(bucket.uri(), patience=replace(SHORT, retries=0.5, pause=0.1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "model", MODEL)


@contextmanager
def meanwhile(held: Held, act: "Future[Result]") -> Iterator[None]:
    """The block happens after `act` has sent its request and before the store hears of it."""
    assert held.arrived.wait(WAIT)
    try:
        yield
    finally:
        held.go_on.set()
    act.exception(WAIT)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.mark.parametrize("status", [429, 503])
def test_too_many_requests_pass(cloud: GcsBucket, proxy: FaultProxy, status: int) -> None:
    """F33: what may pass is tried again, and the store hears of it once."""
    proxy.inject(refused(status), request=WRITE, times=2)

    assert cloud.create(ENTRY, b"entry")
    assert 3 == len([each for each in proxy.seen if each.startswith(WRITE)])
    assert 1 == len([each for each in proxy.passed_on if each.startswith(WRITE)])


def test_the_config_meets_too_many_requests(cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F33: so it is with a replacement, and with looking at what is there."""
    cloud.create(CONFIG, b"old")
    proxy.inject(refused(429), times=2)
    proxy.inject(refused(429), request=WRITE, times=2)

    assert cloud.replace(CONFIG, b"new", instead_of=b"old")
    assert b"new" == cloud.read(CONFIG)


def test_too_many_requests_for_too_long_are_told(hasty: GcsBucket, proxy: FaultProxy) -> None:
    """F33: nothing is waited for endlessly."""
    proxy.inject(refused(429, "slow down"))

    with pytest.raises(StorageError, match=rf"cannot read {ENTRY} in gs://.*tried for .* s without success.*429"):
        hasty.read(ENTRY)


def test_an_answer_that_was_lost_is_looked_up(cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F34: written, not answered, written again, refused: it is ours that is there."""
    proxy.inject(lost_after, request=WRITE, times=1)

    assert cloud.create(ENTRY, b"mine")
    assert 2 == len([each for each in proxy.passed_on if each.startswith(WRITE)])


def test_all_answers_may_be_lost(hasty: GcsBucket, proxy: FaultProxy) -> None:
    """F34: the store never says anything about the write, so it is read."""
    proxy.inject(lost_after, request=WRITE)

    assert hasty.create(ENTRY, b"mine")


def test_a_loser_whose_answer_was_lost_has_lost(cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy) -> None:
    """F34: somebody else's is there."""
    bucket.write(ENTRY, "theirs")
    proxy.inject(lost_after, request=WRITE, times=1)

    assert not cloud.create(ENTRY, b"mine")


def test_a_write_that_never_arrives_is_not_said_to_be_there(hasty: GcsBucket, proxy: FaultProxy) -> None:
    """F34: where nothing is found afterwards the write may still be on its way, so nobody knows."""
    proxy.inject(lost_before, request=WRITE)

    with pytest.raises(StorageError, match=f"cannot write {ENTRY} in gs://.*tried for"):
        hasty.create(ENTRY, b"mine")


def test_a_request_that_was_lost_is_sent_again(cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F34: the store has not heard of the first."""
    proxy.inject(lost_before, times=1)

    assert cloud.create(ENTRY, b"mine")


def test_a_replacement_whose_answer_was_lost_is_looked_up(cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F34: the new content is there, and it is this writer's."""
    cloud.create(CONFIG, b"old")
    proxy.inject(lost_after, request=WRITE, times=1)

    assert cloud.replace(CONFIG, b"new", instead_of=b"old")
    assert b"new" == cloud.read(CONFIG)


def test_a_replacement_none_of_whose_answers_arrive_is_looked_up(hasty: GcsBucket, proxy: FaultProxy) -> None:
    """F34: the store never says anything about the write, so it is read."""
    hasty.create(CONFIG, b"old")
    proxy.inject(lost_after, request=WRITE)

    assert hasty.replace(CONFIG, b"new", instead_of=b"old")


def test_a_replacement_that_never_arrives_is_not_decided(hasty: GcsBucket, proxy: FaultProxy) -> None:
    """F34: the old content is there, and the write may still be on its way."""
    hasty.create(CONFIG, b"old")
    proxy.inject(lost_before, request=WRITE)

    with pytest.raises(StorageError, match=f"cannot write {CONFIG} in gs://.*tried for"):
        hasty.replace(CONFIG, b"new", instead_of=b"old")
    proxy.heal()
    assert b"old" == hasty.read(CONFIG)


@pytest.mark.parametrize("theirs", ["something else", "new"])
def test_of_two_replacements_the_later_is_refused(
    cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, pool: ThreadPoolExecutor, theirs: str
) -> None:
    """F34 and F35: also where the winner wrote the very same, and the loser's answer was lost."""
    cloud.create(CONFIG, b"old")
    held = Held()
    proxy.inject(held, request=WRITE, times=1)
    proxy.inject(lost_after, request=WRITE, times=1)
    replacing = pool.submit(cloud.replace, CONFIG, b"new", instead_of=b"old")
    with meanwhile(held, replacing):
        bucket.write(CONFIG, theirs)

    assert not replacing.result()
    assert theirs.encode() == cloud.read(CONFIG)


@pytest.mark.parametrize(("theirs", "there"), [("theirs", False), ("mine", True)])
def test_someone_else_may_be_faster(
    *, cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, pool: ThreadPoolExecutor, theirs: str, there: bool
) -> None:
    """F35: a failed precondition means that someone did it; the object tells what."""
    held = Held()
    proxy.inject(held, request=WRITE, times=1)
    creating = pool.submit(cloud.create, ENTRY, b"mine")
    with meanwhile(held, creating):
        bucket.write(ENTRY, theirs)

    assert there == creating.result()
    assert theirs.encode() == cloud.read(ENTRY)


def test_what_was_listed_may_be_gone(cloud: GcsBucket, bucket: GoogleBucket) -> None:
    """F36: a listing is of the past."""
    cloud.create(ENTRY, b"entry")
    names = cloud.names("journal/digits")
    bucket.remove(ENTRY)

    assert ["00000001.json"] == names
    with pytest.raises(MissingError, match=f"cannot read {ENTRY}"):
        cloud.read_all([ENTRY])


def test_a_folder_may_go_while_it_is_read(
    cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, pool: ThreadPoolExecutor, model: Path
) -> None:
    """F36: its sums are those of nothing, which is said."""
    cloud.upload(model, STAGED)
    held = Held()
    proxy.inject(held, request=READ)
    summing = pool.submit(cloud.sums, STAGED)
    with meanwhile(held, summing):
        bucket.remove(STAGED)

    with pytest.raises(MissingError, match=f"cannot read {STAGED}/"):
        summing.result()


def test_what_is_replaced_while_it_is_read_is_read_anew(
    cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, pool: ThreadPoolExecutor
) -> None:
    """F36: the generation that was seen is gone, another is there."""
    cloud.create(CONFIG, b"old")
    held = Held()
    proxy.inject(held, request=READ, times=1)
    reading = pool.submit(cloud.read, CONFIG)
    with meanwhile(held, reading):
        bucket.write(CONFIG, "new")

    assert b"new" == reading.result()


def test_a_store_that_never_answers_is_given_up(bucket: GoogleBucket, cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F37: a rollback learns of it in time to go round the bucket."""
    cloud.create(CONFIG, b"old")
    proxy.inject(proxy.swallowed)
    hasty = GcsBucket(bucket.uri(), patience=replace(SHORT, answer=0.2, retries=0.5, pause=0.1))

    for ask in (
        lambda: hasty.read(CONFIG),
        lambda: hasty.names("serve"),
        lambda: hasty.create(ENTRY, b"entry"),
        lambda: hasty.replace(CONFIG, b"new", instead_of=b"old"),
        lambda: hasty.sums("serve"),
    ):
        with pytest.raises(StorageError, match=r"in gs://.*: tried for \d\.\d s without success"):
            ask()
    proxy.heal()
    assert b"old" == cloud.read(CONFIG)


def test_a_store_that_cannot_be_reached_is_given_up(bucket: GoogleBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """F37: nobody listens at all."""
    cloud = GcsBucket(bucket.uri(), patience=replace(SHORT, retries=0.5))
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{deaf.getsockname()[1]}")

        with pytest.raises(StorageError, match=r"tried for \d\.\d s without success.*may be written or not"):
            cloud.create(ENTRY, b"entry")


def test_permissions_that_are_gone_are_told_at_once(
    cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, model: Path
) -> None:
    """F38: no second try, and the way out."""
    cloud.upload(model, STAGED)
    cloud.create(CONFIG, b"old")
    proxy.inject(refused(403, "storage.objects.create denied"), request=WRITE)
    proxy.inject(refused(403, "storage.objects.create denied"), request=COPY)
    refusals = []

    for ask in (
        lambda: cloud.create(ENTRY, b"entry"),
        lambda: cloud.replace(CONFIG, b"new", instead_of=b"old"),
        lambda: cloud.upload(model, "runs/other"),
        lambda: cloud.copy(STAGED, SERVED, expected=sums(MODEL)),
    ):
        proxy.seen.clear()
        with pytest.raises(
            StorageError, match=f"permission denied; grant .*objectUser on {bucket.uri()}.*create denied"
        ):
            ask()
        refusals.append(len([each for each in proxy.seen if each.startswith(WRITE) or COPY in each]))

    assert [1, 1] == refusals[:2]
    # Of several objects that are sent at once, those that have not begun when the first is refused are not sent.
    assert all(1 <= count <= len(MODEL) - 1 for count in refusals[2:]), refusals
    assert b"old" == cloud.read(CONFIG)
    assert [] == cloud.names(SERVED)


def test_a_caller_whom_google_does_not_know_is_told_how_to_become_known(cloud: GcsBucket, proxy: FaultProxy) -> None:
    """F38: no role would help."""
    proxy.inject(refused(401))

    with pytest.raises(StorageError, match=f"cannot read {ENTRY} .*no valid Google credentials; run `gcloud auth"):
        cloud.read(ENTRY)


@pytest.mark.parametrize("fault", [refused(503), lost_before, lost_after], ids=["503", "lost before", "lost after"])
def test_a_copy_goes_on_after_what_may_pass(cloud: GcsBucket, proxy: FaultProxy, model: Path, fault: Fault) -> None:
    """F34: complete, and read back."""
    cloud.upload(model, STAGED)
    proxy.inject(fault, request=COPY, times=2)
    cloud.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == cloud.sums(SERVED)


@pytest.mark.parametrize("fault", [refused(503), lost_before, lost_after], ids=["503", "lost before", "lost after"])
def test_an_upload_goes_on_after_what_may_pass(cloud: GcsBucket, proxy: FaultProxy, model: Path, fault: Fault) -> None:
    """F34: complete."""
    proxy.inject(fault, request=WRITE, times=2)
    cloud.upload(model, STAGED)

    assert sums(MODEL) == cloud.sums(STAGED)


def test_transfers_all_of_whose_answers_are_lost_are_looked_up(
    hasty: GcsBucket, proxy: FaultProxy, model: Path
) -> None:
    """F34: every file is there, though nobody said so."""
    proxy.inject(lost_after, request=WRITE)
    proxy.inject(lost_after, request=COPY)
    hasty.upload(model, STAGED)
    hasty.copy(STAGED, SERVED, expected=sums(MODEL))

    assert sums(MODEL) == hasty.sums(SERVED)


def test_a_copy_that_cannot_be_finished_shows_no_model(hasty: GcsBucket, proxy: FaultProxy, model: Path) -> None:
    """F5 and F34: the rest comes with the next try."""
    hasty.upload(model, STAGED)
    proxy.inject(refused(503), request="variables.index/rewriteTo/")

    with pytest.raises(StorageError, match=f"cannot copy {STAGED}/variables/variables.index to"):
        hasty.copy(STAGED, SERVED, expected=sums(MODEL))
    assert MARK not in hasty.names(SERVED)

    proxy.heal()
    hasty.copy(STAGED, SERVED, expected=sums(MODEL))
    assert sums(MODEL) == hasty.sums(SERVED)


def test_an_upload_that_cannot_be_finished_says_so(hasty: GcsBucket, proxy: FaultProxy, model: Path) -> None:
    """F34: no `saved_model.pb` is there before all the rest."""
    proxy.inject(lost_before, request=WRITE)

    with pytest.raises(StorageError, match=f"cannot upload {STAGED}/.*tried for"):
        hasty.upload(model, STAGED)
    assert [] == hasty.names(STAGED)


def test_what_changes_once_it_is_copied_is_found_before_the_mark(
    cloud: GcsBucket, bucket: GoogleBucket, proxy: FaultProxy, model: Path
) -> None:
    cloud.upload(model, STAGED)

    def overwritten(forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        bucket.write(f"{SERVED}/variables/variables.index", "INDEX")
        return answer

    proxy.inject(overwritten, request="variables.index/rewriteTo/")

    with pytest.raises(DamagedError, match=rf"{SERVED} is not what was approved: variables/variables\.index differs"):
        cloud.copy(STAGED, SERVED, expected=sums(MODEL))
    assert MARK not in cloud.names(SERVED)


def test_every_byte_is_read_before_anything_is_written(cloud: GcsBucket, proxy: FaultProxy, model: Path) -> None:
    """Servers try to load a folder that is half there, so it is that for as long as the store copies and no longer."""
    cloud.upload(model, STAGED)
    before = len(proxy.seen)
    cloud.copy(STAGED, SERVED, expected=sums(MODEL))

    done = [COPY if COPY in request else READ for request in proxy.seen[before:] if COPY in request or READ in request]
    assert [READ] * len(MODEL) + [COPY] * len(MODEL) == done


def test_a_removal_meets_a_model_that_is_there_again(cloud: GcsBucket, proxy: FaultProxy, model: Path) -> None:
    """F35: a failed precondition means that somebody has written since; that model keeps its files."""
    cloud.upload(model, SERVED)
    proxy.inject(refused(412), request=REMOVE)

    assert not cloud.remove(SERVED)
    assert 1 == len([each for each in proxy.seen if each.startswith(REMOVE)])
    assert sums(MODEL) == cloud.sums(SERVED)


@pytest.mark.parametrize("fault", [refused(503), lost_before, lost_after], ids=["503", "lost before", "lost after"])
def test_a_removal_goes_on_after_what_may_pass(cloud: GcsBucket, proxy: FaultProxy, model: Path, fault: Fault) -> None:
    """F34: gone already is gone."""
    cloud.upload(model, SERVED)
    proxy.inject(fault, request=REMOVE, times=2)

    assert cloud.remove(SERVED)
    assert [] == cloud.names(SERVED)


def test_a_removal_that_cannot_be_finished_shows_no_model(hasty: GcsBucket, proxy: FaultProxy, model: Path) -> None:
    """F34: the rest goes with the next try."""
    hasty.upload(model, SERVED)
    proxy.inject(refused(503), request="variables.index?")

    with pytest.raises(StorageError, match=f"cannot remove {SERVED}/variables/variables.index"):
        hasty.remove(SERVED)
    assert MARK not in hasty.names(SERVED)

    proxy.heal()
    assert hasty.remove(SERVED)
    assert [] == hasty.names(SERVED)
