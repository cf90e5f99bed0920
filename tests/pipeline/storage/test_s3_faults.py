"""S3 that refuses, loses or breaks off: what is said afterwards is true. More of this is in `test_faults`."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.storage.s3.bucket import S3Bucket
from pipeline.storage.sums import MARK, sums_of
from tests.pipeline.storage.fault_proxy import (
    WAIT,
    Answer,
    Fault,
    FaultProxy,
    Held,
    lost_after,
    lost_before,
    s3_refused,
)
from tests.pipeline.storage.kinds import MODEL, SHORT, sums, written
from tests.pipeline.storage.s3_store import VARIABLE, S3Store, S3TestBucket, proxy, s3_bucket, s3_store
from tests.ports import free_port

__all__ = ["proxy", "s3_bucket", "s3_store"]

WRITE = "PUT /"
READ = "GET /"
REMOVE = "DELETE /"
ENTRY = "journal/digits/00000001.json"
CONFIG = "serve/digits.config"
STAGED = "runs/digits/manual-1/model"
SERVED = "serve/digits/1"
MAY_PASS = pytest.mark.parametrize(
    "fault",
    [s3_refused(503, "SlowDown"), s3_refused(409, "ConditionalRequestConflict"), lost_before, lost_after],
    ids=["503", "409", "lost before", "lost after"],
)


@pytest.fixture
def s3(s3_bucket: S3TestBucket, proxy: FaultProxy) -> S3Bucket:
    """Ours, with the proxy in its way; `s3_bucket` is the same one, straight to the store."""
    return S3Bucket(s3_bucket.uri(), patience=SHORT)


@pytest.fixture
def hasty(s3_bucket: S3TestBucket, proxy: FaultProxy) -> S3Bucket:
    """One that gives up soon."""
    return S3Bucket(s3_bucket.uri(), patience=replace(SHORT, answer=0.5, retries=0.5, pause=0.1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "model", MODEL)


def broken_off(forward: Callable[[], Answer]) -> Answer:
    """The answer ends before it is complete."""
    answer = forward()
    return replace(answer, headers=[*answer.headers, ("Connection", "close")], body=answer.body[:-1])


@MAY_PASS
def test_an_entry_is_created_after_what_may_pass(s3: S3Bucket, proxy: FaultProxy, fault: Fault) -> None:
    """F33 and F34: where the answer was lost, it is ours that is there."""
    proxy.inject(fault, request=WRITE, times=2)

    assert s3.create(ENTRY, b"mine")
    assert b"mine" == s3.read(ENTRY)


@MAY_PASS
def test_the_config_is_replaced_after_what_may_pass(s3: S3Bucket, proxy: FaultProxy, fault: Fault) -> None:
    """F34: written, not answered, written again, refused: its writer's name tells that it is ours."""
    s3.create(CONFIG, b"old")
    proxy.inject(fault, request=WRITE, times=2)

    assert s3.replace(CONFIG, b"new", instead_of=b"old")
    assert b"new" == s3.read(CONFIG)


@MAY_PASS
def test_a_model_is_uploaded_copied_and_removed_after_what_may_pass(
    s3: S3Bucket, proxy: FaultProxy, model: Path, fault: Fault
) -> None:
    """F34: complete, and read back; what is gone already is gone."""
    for request in (WRITE, "HEAD /", REMOVE):
        proxy.inject(fault, request=request, times=2)
    s3.upload(model, STAGED)
    proxy.inject(fault, request=WRITE, times=2)

    assert s3.copy(STAGED, SERVED, expected=sums(MODEL))
    assert sums(MODEL) == s3.sums(SERVED)
    assert s3.remove(SERVED)
    assert [] == s3.names(SERVED)


def test_all_answers_may_be_lost(hasty: S3Bucket, proxy: FaultProxy) -> None:
    """F34: the store never says anything about the write, so it is read."""
    proxy.inject(lost_after, request=WRITE)

    assert hasty.create(ENTRY, b"mine")
    assert hasty.replace(CONFIG, b"config", instead_of=None)


def test_a_write_that_never_arrives_is_told(hasty: S3Bucket, proxy: FaultProxy) -> None:
    """F34: nothing is there, and it may be on its way."""
    proxy.inject(lost_before, request=WRITE)

    with pytest.raises(StorageError, match=rf"cannot write {ENTRY} in s3://.*tried for \d\.\d s without success"):
        hasty.create(ENTRY, b"mine")


def test_a_store_where_nobody_listens_is_asked_again_and_is_no_matter_of_credentials(
    s3_bucket: S3TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent, too: refused, as a name that nobody knows and a proxy that is down would be."""
    monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{free_port()}")
    nowhere = S3Bucket(s3_bucket.uri(), patience=replace(SHORT, answer=0.5, retries=0.5, pause=0.1))

    with pytest.raises(StorageError, match=rf"cannot read {ENTRY} in s3://.*tried for \d\.\d s without success"):
        nowhere.read(ENTRY)


def test_of_two_who_swap_the_same_one_does(
    s3: S3Bucket, s3_bucket: S3TestBucket, s3_store: S3Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F35: the content is what ours would be, and the writer another."""
    s3.create(CONFIG, b"old")
    monkeypatch.setenv(VARIABLE, s3_store.endpoint)
    theirs = S3Bucket(s3_bucket.uri(), patience=SHORT)
    held = Held()
    proxy.inject(held, request=WRITE, times=1)
    with ThreadPoolExecutor(1) as pool:
        ours = pool.submit(s3.replace, CONFIG, b"new", instead_of=b"old")
        assert held.arrived.wait(WAIT)
        first = theirs.replace(CONFIG, b"new", instead_of=b"old")
        held.go_on.set()
        second = ours.result(WAIT)

    assert [True, False] == [first, second]


def test_what_is_to_be_replaced_may_be_gone(s3: S3Bucket, s3_bucket: S3TestBucket, proxy: FaultProxy) -> None:
    """F36: Amazon says 404 and not 412 then."""
    s3.create(CONFIG, b"old")
    held = Held()
    proxy.inject(held, request=WRITE, times=1)
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(s3.replace, CONFIG, b"new", instead_of=b"old")
        assert held.arrived.wait(WAIT)
        s3_bucket.remove(CONFIG)
        held.go_on.set()

        assert not replacing.result(WAIT)


def test_an_answer_that_breaks_off_is_asked_for_again(s3: S3Bucket, proxy: FaultProxy, model: Path) -> None:
    """F34: no half of a content is taken for it."""
    s3.create(ENTRY, b"a whole entry")
    s3.upload(model, STAGED)
    proxy.inject(broken_off, request=ENTRY, times=1)
    proxy.inject(broken_off, request=f"{STAGED}/variables/variables.index", times=3)

    assert b"a whole entry" == s3.read(ENTRY)
    assert sums(MODEL) == s3.sums(STAGED)


def test_a_store_that_never_answers_is_given_up(hasty: S3Bucket, proxy: FaultProxy) -> None:
    """F37: a rollback learns of it in time to go round the bucket."""
    proxy.inject(proxy.swallowed)

    for ask in (lambda: hasty.read(CONFIG), lambda: hasty.names("serve"), lambda: hasty.create(ENTRY, b"entry")):
        with pytest.raises(StorageError, match=r"in s3://.*: tried for \d\.\d s without success"):
            ask()


def test_permissions_that_are_gone_are_told_at_once(
    s3: S3Bucket, s3_bucket: S3TestBucket, proxy: FaultProxy, model: Path
) -> None:
    """F38: no second try, and the way out."""
    s3.upload(model, STAGED)
    s3.create(CONFIG, b"old")
    for request in (WRITE, REMOVE):
        proxy.inject(s3_refused(403, "AccessDenied", "not authorized"), request=request)
    sent = []
    objects = rf"on arn:aws:s3:::{s3_bucket.name}/\*"

    refusals: list[tuple[str, Callable[[], bool]]] = [
        ("s3:PutObject", lambda: s3.create(ENTRY, b"entry")),
        ("s3:PutObject", lambda: s3.replace(CONFIG, b"new", instead_of=b"old")),
        ("s3:PutObject", lambda: s3.copy(STAGED, SERVED, expected=sums(MODEL))),
        ("s3:DeleteObject", lambda: s3.remove(STAGED)),
    ]
    for right, ask in refusals:
        proxy.seen.clear()
        with pytest.raises(
            StorageError,
            match=rf"permission denied; grant this caller s3:GetObject {objects} and {right} {objects}; "
            r"docs/storage\.md has the whole policy .*AccessDenied: not authorized",
        ):
            ask()
        sent.append(len([each for each in proxy.seen if each.startswith((WRITE, REMOVE))]))

    assert [1, 1] == sent[:2]
    # Of several objects that are sent at once, those that have not begun when the first is refused are not sent.
    assert 1 <= sent[2] <= len(MODEL) - 1
    assert 1 == sent[3]
    assert sums(MODEL) == s3.sums(STAGED)


@pytest.mark.parametrize(
    ("request_", "right"),
    [
        ("GET /{bucket}?uploads", "s3:ListBucketMultipartUploads on arn:aws:s3:::{bucket};"),
        (REMOVE, r"s3:AbortMultipartUpload on arn:aws:s3:::{bucket}/models/\*;"),
    ],
    ids=["list", "abort"],
)
def test_tidying_names_the_right_that_it_lacks(
    s3_bucket: S3TestBucket, proxy: FaultProxy, request_: str, right: str
) -> None:
    """Nothing else needs it, so whoever lacks it has all the others."""
    s3_bucket.client.create_multipart_upload(Bucket=s3_bucket.name, Key="models/runs/a")
    s3 = S3Bucket(s3_bucket.uri("models"), patience=SHORT)
    proxy.inject(s3_refused(403, "AccessDenied"), request=request_.format(bucket=s3_bucket.name))

    with pytest.raises(StorageError, match=f"grant this caller {right.format(bucket=s3_bucket.name)} docs/storage.md"):
        s3.tidy(older_than=datetime.now(UTC) + timedelta(days=1), dry_run=False)


def test_a_read_that_is_refused_may_lack_the_right_to_list(
    s3: S3Bucket, s3_bucket: S3TestBucket, proxy: FaultProxy
) -> None:
    """Without it Amazon refuses to say that something is not there."""
    proxy.inject(s3_refused(403, "AccessDenied"), request=READ)

    with pytest.raises(StorageError, match=rf"/\* and s3:ListBucket on arn:aws:s3:::{s3_bucket.name}; docs/storage.md"):
        s3.read(ENTRY)


def test_a_role_that_is_not_for_the_caller_is_no_matter_of_the_bucket(
    s3: S3Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """F38: it is another service that refuses, before the bucket is asked for anything."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("a pod's")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/understudy")
    proxy.inject(s3_refused(403, "AccessDenied"), request="POST /")

    with pytest.raises(StorageError, match=r"no valid AWS credentials; .* give the pod's service account a role"):
        s3.read(ENTRY)
    assert ["POST /"] == proxy.seen


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_a_caller_whom_amazon_does_not_know_is_told_how_to_become_known(
    s3: S3Bucket, proxy: FaultProxy, code: str
) -> None:
    """F38: no permission would help."""
    proxy.inject(s3_refused(403, code))

    with pytest.raises(StorageError, match=f"cannot read {ENTRY} .*no valid AWS credentials; set AWS_.*{code}"):
        s3.read(ENTRY)


def test_a_store_that_knows_no_conditions_is_refused(s3: S3Bucket, proxy: FaultProxy) -> None:
    """It could not keep a journal."""
    proxy.inject(s3_refused(501, "NotImplemented"), request=WRITE)

    with pytest.raises(StorageError, match=r"does not support what Understudy needs, .*docs/storage\.md lists"):
        s3.create(ENTRY, b"entry")


def test_a_copy_that_cannot_be_finished_shows_no_model(hasty: S3Bucket, proxy: FaultProxy, model: Path) -> None:
    """F5 and F34: the rest comes with the next try."""
    hasty.upload(model, STAGED)
    proxy.inject(s3_refused(503, "SlowDown"), request=f"{SERVED}/variables/variables.index")

    with pytest.raises(StorageError, match=f"cannot .* {SERVED}/variables/variables.index|not all of {SERVED}"):
        hasty.copy(STAGED, SERVED, expected=sums(MODEL))
    assert MARK not in hasty.names(SERVED)

    proxy.heal()
    assert hasty.copy(STAGED, SERVED, expected=sums(MODEL))
    assert sums(MODEL) == hasty.sums(SERVED)


def test_a_download_that_breaks_off_is_completed(s3: S3Bucket, proxy: FaultProxy, model: Path) -> None:
    s3.upload(model, STAGED)
    proxy.inject(broken_off, request=f"{READ}bucket", times=2)

    with s3.local_copy(STAGED) as folder:
        assert sums(MODEL) == sums_of(folder)


def test_a_download_that_is_not_what_is_stored_is_not_used(
    s3: S3Bucket, s3_bucket: S3TestBucket, proxy: FaultProxy, model: Path
) -> None:
    def changed(forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        return replace(answer, body=bytes([*answer.body[:-1], answer.body[-1] ^ 1]))

    s3.upload(model, STAGED)
    proxy.inject(changed, request=f"{READ}{s3_bucket.name}/{STAGED}/variables/variables.index")

    with (
        pytest.raises(StorageError, match=r"cannot download .*: variables/variables\.index did not arrive as stored"),
        s3.local_copy(STAGED),
    ):
        pass


def test_a_download_without_room_is_said_in_a_sentence(
    s3: S3Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.upload(model, STAGED)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # Where the first folder of the download is made.
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match=r"cannot download .*: No space left on device"), s3.local_copy(STAGED):
        pass
