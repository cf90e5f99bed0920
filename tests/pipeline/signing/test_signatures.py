"""Signed manifests: whose word a version is released and gone back to on, and what is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import google_crc32c
import pytest

from pipeline import layout
from pipeline.context import make_run_context, open_ports
from pipeline.errors import DamagedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.manifests import Manifest
from pipeline.storage.local import LocalBucket
from pipeline.verbs.publish import publish
from tests.released import start_released
from tests.releases import MODEL, World
from tests.signing import Pair, manifest, pair, signature, signing_bucket


@pytest.fixture
def ours(tmp_path: Path) -> Pair:
    return pair(tmp_path, "ours")


@pytest.fixture
def signing(world: World, ours: Pair) -> World:
    """Two replicas, and keys for whoever acts."""
    world.extra.update(ours.settings)
    return world


@pytest.fixture
def quiet(tmp_path: Path, ours: Pair) -> World:
    return signing_bucket(tmp_path, ours)


def model_signing(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line of model-signing."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_published_with_a_key_is_proven_promoted_and_gone_back_to(signing: World) -> None:
    signing.release("retrain-1")
    signing.release("retrain-2")

    assert 1 == signing.roll_back("previous").version
    assert [1, 1] == signing.answering()


def test_the_command_line_of_model_signing_believes_what_publish_has_signed(quiet: World, ours: Pair) -> None:
    """On the folder as it lies in the bucket, beside other manifests; and it notices a change."""
    quiet.publish("retrain-1")
    quiet.publish("retrain-2")
    verify = (
        *("verify", "key", quiet.bucket / "manifests" / MODEL, "--signature", signature(quiet, 2)),
        *("--public_key", ours.public, "--ignore_unsigned_files"),
    )
    good = model_signing(*verify)
    manifest(quiet, 2).write_text(manifest(quiet, 2).read_text() + "\n")
    changed = model_signing(*verify)

    assert 0 == good.returncode, good.stderr
    assert 1 == changed.returncode
    assert "2.json" in changed.stderr


def test_an_unsigned_version_is_a_target_again_once_it_is_signed_by_hand(world: World, ours: Pair) -> None:
    """Signatures are turned on for a bucket that has been in use."""
    start_released(world, 2)
    assert [] == list(world.bucket.glob("manifests/*/*.sig"))
    world.extra["verifying_key"] = ours.public
    with pytest.raises(
        FailedError, match=r"manifests/digits/1\.json is not signed: manifests/digits/1\.json\.sig does not exist; .*si"
    ):
        world.roll_back("1")
    assert [2, 2] == world.answering()
    aside = world.folder / "aside"
    aside.mkdir()
    shutil.copy(manifest(world, 1), aside)
    signed = model_signing("sign", "key", aside, "--private_key", ours.private, "--signature", signature(world, 1))

    assert 0 == signed.returncode, signed.stderr
    assert 1 == world.roll_back("1").version


def test_going_back_to_previous_passes_over_a_version_nobody_believed_has_signed(signing: World) -> None:
    signing.release_three()
    manifest(signing, 2).write_text(manifest(signing, 2).read_text().replace('"the gate"', '"somebody"'))
    believe_in_the_journal(signing, 2)

    assert 1 == signing.roll_back("previous").version
    assert [1, 1] == signing.answering()


def believe_in_the_journal(world: World, version: int) -> None:
    """Let the journal have seen the manifest that is there now, as somebody can who may write to the bucket."""
    entry = world.history().of_version(version, Event.PUBLISHED)
    assert entry is not None
    context = world.context("look-0")
    digest = context.bucket.sums(f"manifests/{MODEL}")[f"{version}.json"].sha256
    path = world.bucket / layout.entry(MODEL, entry.seq)
    path.write_text(entry.model_copy(update={"manifest": digest}).model_dump_json(indent=1))


def take_away(world: World) -> None:
    signature(world, 2).unlink()


def sign_with_another_key(world: World) -> None:
    others = pair(world.folder, "others")
    aside = world.folder / "aside"
    aside.mkdir()
    shutil.copy(manifest(world, 2), aside)
    signed = model_signing("sign", "key", aside, "--private_key", others.private, "--signature", signature(world, 2))
    assert 0 == signed.returncode, signed.stderr


def sign_with_another_key_and_claim_ours(world: World) -> None:
    hint = json.loads(signature(world, 2).read_bytes())["verificationMaterial"]["publicKey"]["hint"]
    sign_with_another_key(world)
    foreign = json.loads(signature(world, 2).read_bytes())
    foreign["verificationMaterial"]["publicKey"]["hint"] = hint
    signature(world, 2).write_text(json.dumps(foreign))


def cut_off(world: World) -> None:
    signature(world, 2).write_bytes(signature(world, 2).read_bytes()[:-10])


def change_the_manifest(world: World) -> None:
    manifest(world, 2).write_text(manifest(world, 2).read_text().replace('"the gate"', '"somebody"'))


def put_back_an_older_one(world: World) -> None:
    shutil.copy(manifest(world, 1), manifest(world, 2))
    shutil.copy(signature(world, 1), signature(world, 2))


def put_the_same_number_of_another_model_there(world: World) -> None:
    others = make_run_context(world.context("retrain-2").settings, model="letters", run_key="retrain-2").manifests
    content = json.loads(manifest(world, 2).read_bytes()) | {"model": "letters"}
    others.write(Manifest.model_validate_json(json.dumps(content)))
    shutil.copy(world.bucket / layout.manifest("letters", 2), manifest(world, 2))
    shutil.copy(world.bucket / layout.signature("letters", 2), signature(world, 2))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (take_away, r"manifests/digits/2\.json is not signed"),
        (
            sign_with_another_key,
            r"2\.json\.sig is not a valid signature of .*2\.json: it is by the key [0-9a-f]{16},",
        ),
        (sign_with_another_key_and_claim_ours, r"2\.json\.sig .*: it was changed, or was never made by the key"),
        (cut_off, r"2\.json\.sig .*: it is not what model-signing writes"),
        (change_the_manifest, r"2\.json\.sig .*: it signs another 2\.json"),
        (put_back_an_older_one, r"2\.json\.sig .*: it signs 1\.json"),
        (put_the_same_number_of_another_model_there, r"2\.json is the manifest of letters v2, put in another's place"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused_before_anything_is_exposed(
    quiet: World, spoil: Callable[[World], None], told: str
) -> None:
    """F66, F67: also where the journal was made to agree."""
    quiet.publish("retrain-1")
    quiet.publish("retrain-2")
    spoil(quiet)
    believe_in_the_journal(quiet, 2)
    before = quiet.events()
    with pytest.raises(DamagedError, match=told):
        quiet.run("canary", "retrain-2")

    assert before == quiet.events()


def test_without_a_key_to_verify_with_a_signature_is_not_asked_for(quiet: World) -> None:
    quiet.publish("retrain-1")
    signature(quiet, 1).write_text("{}")
    quiet.extra.clear()
    context = quiet.context("look-1")

    assert 1 == context.manifests.verify(1, context.journal.read()).version


def with_crc32c(content: bytes, wanted: int) -> bytes:
    """The content and four bytes more that give it a CRC32C: the sum is linear in each of their bits."""
    start = google_crc32c.value(content + bytes(4))
    rows: dict[int, tuple[int, int]] = {}  # by its highest bit: a difference in the sum, and the bits that make it
    for bit in range(32):
        change, made_of = google_crc32c.value(content + (1 << bit).to_bytes(4)) ^ start, 1 << bit
        while change and change.bit_length() in rows:
            change, made_of = (a ^ b for a, b in zip((change, made_of), rows[change.bit_length()], strict=True))
        rows[change.bit_length()] = (change, made_of)
    left, tail = wanted ^ start, 0
    while left:
        change, made_of = rows[left.bit_length()]
        left, tail = left ^ change, tail ^ made_of
    return content + tail.to_bytes(4)


def test_a_file_with_a_forged_checksum_is_no_target_where_signatures_are_asked_for(signing: World) -> None:
    """F66: CRC32C finds accidents, and no person."""
    signing.release("retrain-1")
    signing.release("retrain-2")
    file = signing.bucket / layout.version(MODEL, 1) / "classifier.json"
    was = file.read_bytes()
    file.write_bytes(with_crc32c(was + b" ", google_crc32c.value(was)))
    history = signing.history()
    with pytest.raises(FailedError, match=r"serve/digits/1 is not what was approved: classifier\.json differs"):
        signing.roll_back("1")
    signing.extra.clear()

    assert was != file.read_bytes()
    assert history == signing.history()
    signing.context("look-1").manifests.verify_checksums(1, history)  # without, it passes


class Killed(BaseException):
    pass


class KilledAtTheSignature(LocalBucket):
    def create(self, key: str, content: bytes) -> bool:
        if key.endswith(".sig"):
            raise Killed
        return super().create(key, content)


class SignedByAnotherCopy(LocalBucket):
    """Between its looking and its writing somebody else is there."""

    def __init__(self, root: Path, other: bytes) -> None:
        super().__init__(root)
        self._other = other

    def create(self, key: str, content: bytes) -> bool:
        if key.endswith(".sig"):
            super().create(key, self._other)
        return super().create(key, content)


def publish_into(world: World, run_key: str, bucket: LocalBucket) -> None:
    settings = world.context(run_key).settings
    ports = replace(open_ports(settings), bucket=bucket)
    publish(make_run_context(settings, model=MODEL, run_key=run_key, ports=ports))


def test_a_publish_that_ended_between_manifest_and_signature_is_healed_by_another(quiet: World) -> None:
    quiet.approve("retrain-1")
    with pytest.raises(Killed):
        publish_into(quiet, "retrain-1", KilledAtTheSignature(quiet.bucket))
    assert manifest(quiet, 1).exists()
    assert not signature(quiet, 1).exists()
    quiet.run("publish", "retrain-1")
    context = quiet.context("look-1")

    assert 1 == context.manifests.verify(1, context.journal.read()).version


def test_a_valid_signature_that_is_there_is_kept(quiet: World) -> None:
    """No two signatures of a key are the same, and the first stays: repeated, and with two copies at once."""
    quiet.publish("retrain-1")
    first = signature(quiet, 1).read_bytes()
    publish(quiet.context("retrain-1"))
    assert first == signature(quiet, 1).read_bytes()
    signature(quiet, 1).unlink()
    publish_into(quiet, "retrain-1", SignedByAnotherCopy(quiet.bucket, first))

    assert first == signature(quiet, 1).read_bytes()


def test_publish_refuses_a_signature_that_somebody_else_puts_there_meanwhile(quiet: World) -> None:
    quiet.approve("retrain-1")
    with pytest.raises(DamagedError, match=r"manifests/digits/1\.json\.sig is not a valid signature of"):
        publish_into(quiet, "retrain-1", SignedByAnotherCopy(quiet.bucket, b"{}"))

    assert [(Event.CLAIMED, 1)] == quiet.events()


def test_publish_leaves_a_signature_that_is_not_ours_and_refuses(quiet: World) -> None:
    quiet.approve("retrain-1")
    signature(quiet, 1).parent.mkdir(parents=True)
    signature(quiet, 1).write_text("{}")
    with pytest.raises(DamagedError, match=r"manifests/digits/1\.json\.sig is not a valid signature of"):
        quiet.run("publish", "retrain-1")

    assert "{}" == signature(quiet, 1).read_text()
    assert [(Event.CLAIMED, 1)] == quiet.events()


def test_while_a_key_is_replaced_the_signatures_of_both_are_believed(quiet: World, ours: Pair) -> None:
    quiet.publish("retrain-1")
    new = pair(quiet.folder, "new")
    both = quiet.folder / "both.pem"
    both.write_bytes(ours.public.read_bytes() + new.public.read_bytes())
    quiet.extra.update(signing_key=new.private, verifying_key=both)
    quiet.publish("retrain-2")
    context = quiet.context("look-1")
    for version in (1, 2):
        assert version == context.manifests.verify(version, context.journal.read()).version
    quiet.extra["verifying_key"] = new.public

    with pytest.raises(DamagedError, match=r"1\.json\.sig .* which is not among the trusted keys"):
        quiet.context("look-1").manifests.verify(1, quiet.history())
