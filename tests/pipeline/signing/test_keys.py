"""What a key must be, who may have which, and an environment without the extra."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from pipeline.errors import BadInputError
from tests.releases import MODEL, World
from tests.signing import Pair, pair, signature, signing_bucket

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def ours(tmp_path: Path) -> Pair:
    return pair(tmp_path, "ours")


@pytest.fixture
def quiet(tmp_path: Path, ours: Pair) -> World:
    return signing_bucket(tmp_path, ours)


def no_file(folder: Path) -> Pair:
    return Pair(folder / "nowhere.pem", folder / "nowhere.pub.pem")


def no_pem(folder: Path) -> Pair:
    made = Pair(folder / "words.pem", folder / "words.pub.pem")
    for path in (made.private, made.public):
        path.write_text("hunter2")
    return made


def of_the_wrong_kind(folder: Path) -> Pair:
    return pair(folder, "rsa", rsa.generate_private_key(65537, 2048))


def on_another_curve(folder: Path) -> Pair:
    return pair(folder, "curve", ec.generate_private_key(ec.SECP384R1()))


def swapped(folder: Path) -> Pair:
    made = pair(folder, "swapped")
    return Pair(made.public, made.private)


def spoilt(folder: Path) -> Pair:
    """The right words around it, and something else inside."""
    made = pair(folder, "spoilt")
    for path in (made.private, made.public):
        path.write_text(re.sub(r"\nM.{20}", f"\n{base64.b64encode(b'hunter2').decode()}", path.read_text()))
    return made


KEYS = [
    (no_file, r"cannot read \S+nowhere\.(pub\.)?pem: No such file"),
    (no_pem, r"words\.(pub\.)?pem holds no (private|public) key in PEM"),
    (of_the_wrong_kind, r"key in \S+rsa\.(pub\.)?pem is not an EC key on the curve P-256"),
    (on_another_curve, r"key in \S+curve\.(pub\.)?pem is not an EC key on the curve P-256"),
    (swapped, r"swapped(\.pub\.pem holds no private key|\.pem holds a private key, which only)"),
    (spoilt, r"spoilt\.(pub\.)?pem (holds no private|contains something that is not a public) key"),
]


def all_told(error: BaseException | None) -> str:
    """Everything that a traceback would show of an error."""
    return f"{error} {all_told(error.__cause__)}" if error else ""


@pytest.mark.parametrize(("make", "told"), KEYS)
def test_a_key_that_cannot_sign_stops_publish_before_anything_is_changed(
    quiet: World, make: Callable[[Path], Pair], told: str
) -> None:
    quiet.approve("retrain-1")
    wrong = make(quiet.folder)
    quiet.extra.update(signing_key=wrong.private)
    with pytest.raises(BadInputError, match=f"UNDERSTUDY_SIGNING_KEY: .*{told}") as refused:
        quiet.run("publish", "retrain-1")

    assert [] == quiet.events()
    require_nothing_told_of(wrong.private, refused.value)


@pytest.mark.parametrize(("make", "told"), KEYS)
def test_a_key_that_cannot_verify_is_named_before_anything_is_exposed(
    quiet: World, make: Callable[[Path], Pair], told: str
) -> None:
    """Not that the version is bad: then a roll-back would pass over every good one."""
    quiet.publish("retrain-1")
    signature(quiet, 1).unlink()
    before = quiet.events()
    wrong = make(quiet.folder)
    quiet.extra.update(verifying_key=wrong.public)
    with pytest.raises(BadInputError, match=f"UNDERSTUDY_VERIFYING_KEY: .*{told}") as refused:
        quiet.run("canary", "retrain-1")

    assert before == quiet.events()
    require_nothing_told_of(wrong.public, refused.value)


def require_nothing_told_of(path: Path, error: BaseException) -> None:
    lines = path.read_text().splitlines() if path.exists() else []
    secrets = [line for line in lines if "-----" not in line]

    assert [] == [secret for secret in secrets if secret in all_told(error)]


def test_a_key_with_a_password_is_refused(quiet: World) -> None:
    quiet.approve("retrain-1")
    sealed = pair(quiet.folder, "sealed", sealed=BestAvailableEncryption(b"hunter2"))
    quiet.extra.update(signing_key=sealed.private)

    with pytest.raises(BadInputError, match=r"sealed\.pem holds no private key in PEM without a password"):
        quiet.run("publish", "retrain-1")
    assert [] == quiet.events()


def test_what_the_canary_would_refuse_is_not_published(quiet: World, ours: Pair) -> None:
    """Only the key to verify with, or two that do not belong together."""
    quiet.approve("retrain-1")
    quiet.extra.update(verifying_key=pair(quiet.folder, "others").public)
    with pytest.raises(BadInputError, match=r"public key of \S+ours\.pem is not in \S+others\.pub\.pem"):
        quiet.run("publish", "retrain-1")
    quiet.extra.update(signing_key=None, verifying_key=ours.public)
    with pytest.raises(BadInputError, match="UNDERSTUDY_VERIFYING_KEY is set and UNDERSTUDY_SIGNING_KEY is not"):
        quiet.run("publish", "retrain-1")

    assert [] == quiet.events()


WITHOUT_THE_EXTRA = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "model_signing":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from pipeline.__main__ import main
sys.exit(main())
"""


def without_the_extra(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb in an environment in which model-signing was not installed."""
    settings = {
        f"UNDERSTUDY_{name.upper()}": str(value)
        for name, value in {"root": world.bucket, "replicas": "127.0.0.1:9", "rpc_seconds": 0.2, **world.extra}.items()
    }
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, *words, "--model", MODEL],
        cwd=PROJECT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_extra_publish_says_what_to_install_and_changes_nothing(quiet: World) -> None:
    quiet.approve("retrain-1")
    done = without_the_extra(quiet, "publish", "--run", "retrain-1")

    assert 1 == done.returncode, done.stderr
    assert "pip install -r requirements-sign.txt" in done.stderr
    assert "Traceback" not in done.stderr
    assert [] == quiet.events()


def test_without_keys_nothing_is_signed_and_the_extra_is_not_missed(quiet: World) -> None:
    quiet.approve("retrain-1")
    quiet.extra.clear()
    done = without_the_extra(quiet, "publish", "--run", "retrain-1")

    assert 0 == done.returncode, done.stderr
    assert not signature(quiet, 1).exists()


def test_without_the_extra_signatures_are_verified_all_the_same(world: World, ours: Pair) -> None:
    """A roll-back waits for no slow import, and an environment that only verifies needs no extra."""
    world.extra.update(ours.settings)
    world.release("retrain-1")
    world.release("retrain-2")
    believed = without_the_extra(world, "rollback", "--to", "1", "--plan")
    signature(world, 1).unlink()
    refused = without_the_extra(world, "rollback", "--to", "1", "--plan")

    assert (0, 1) == (believed.returncode, refused.returncode), believed.stderr
    assert "v2 will be replaced by v1" in believed.stdout
    assert "manifests/digits/1.json is not signed" in refused.stderr


def test_the_keys_that_the_document_makes_sign_and_verify(quiet: World) -> None:
    """Its commands, as they stand there."""
    text = (PROJECT / "docs" / "signatures.md").read_text(encoding="utf-8")
    commands = next(block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "genpkey" in block)
    subprocess.run(["sh", "-ec", commands], cwd=quiet.folder, check=True, capture_output=True)
    made = {path.name for path in quiet.folder.glob("*.pem")} - {"ours.pem", "ours.pub.pem"}
    quiet.extra.update(signing_key=quiet.folder / "signing.pem", verifying_key=quiet.folder / "verifying.pem")
    quiet.publish("retrain-1")
    context = quiet.context("look-1")

    assert {"signing.pem", "verifying.pem"} == made
    assert 0o600 == (quiet.folder / "signing.pem").stat().st_mode & 0o777
    assert 1 == context.manifests.verify(1, context.journal.read()).version
