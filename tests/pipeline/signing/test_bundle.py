"""Our way to verify a bundle and that of model-signing, which made it, come to the same answers."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pipeline.errors import DamagedError
from pipeline.signing import bundle, keys

NAME, CONTENT = "3.json", b'{"version": 3}'
IN_TOTO = "application/vnd.in-toto+json"
Json = dict[str, Any]


class Signed:
    """A folder with one file, a bundle for it, and the key to verify that with."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        private = folder / "private.pem"
        self.public = folder / "public.pem"
        private.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.folder = folder / "digits"
        self.folder.mkdir()
        self.file = self.folder / NAME
        self.file.write_bytes(CONTENT)
        self.bundle = folder / "bundle"
        self.bundle.write_bytes(bundle.sign(CONTENT, name=NAME, folder="digits", private_key=private))

    def change(self, change: Callable[[Json], None]) -> None:
        content = json.loads(self.bundle.read_bytes())
        change(content)
        self.bundle.write_text(json.dumps(content))

    def sign_statement(self, change: Callable[[Json], object]) -> None:
        """Another statement, by the right key."""

        def put(content: Json) -> None:
            statement = json.loads(base64.b64decode(content["dsseEnvelope"]["payload"]))
            change(statement)
            payload = json.dumps(statement).encode()
            signature = self.key.sign(
                f"DSSEv1 {len(IN_TOTO)} {IN_TOTO} {len(payload)} ".encode() + payload, ec.ECDSA(SHA256())
            )
            content["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
            content["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()

        self.change(put)

    def sign_resources(self, names: list[str]) -> None:
        """One file under these names."""
        digest = hashlib.sha256(CONTENT)
        root = hashlib.sha256(digest.digest() * len(names)).hexdigest()
        resources = [{"name": name, "algorithm": "sha256", "digest": digest.hexdigest()} for name in names]

        def put(statement: Json) -> None:
            statement["predicate"]["resources"] = resources
            statement["subject"][0]["digest"]["sha256"] = root

        self.sign_statement(put)

    def we_believe(self) -> bool:
        believed = keys.read_public(self.public)
        try:
            bundle.require_signed(self.bundle.read_bytes(), self.file.read_bytes(), name=NAME, believed=believed)
        except DamagedError:
            return False
        return True

    def model_signing_believes(self) -> bool:
        from model_signing.verifying import Config

        try:
            Config().use_elliptic_key_verifier(public_key=self.public).verify(self.folder, self.bundle)
        except Exception:  # noqa: BLE001 - it has no error of its own: KeyError, ValueError, InvalidSignature, ...
            return False
        return True


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def put(path: str, value: object) -> Callable[[Signed], None]:
    """Another value at a place of the bundle."""

    def spoil(signed: Signed) -> None:
        def change(content: Json) -> None:
            *way, last = path.split(".")
            inner: Any = content
            for step in way:
                inner = inner[int(step)] if step.isdigit() else inner[step]
            inner[last] = value

        signed.change(change)

    return spoil


def another_key(signed: Signed) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    signed.public.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def another_signer(signed: Signed) -> None:
    """Who says it was us."""
    signed.key = ec.generate_private_key(ec.SECP256R1())
    signed.sign_statement(dict.copy)


def one_bit(signed: Signed) -> None:
    def flip(content: Json) -> None:
        signature = content["dsseEnvelope"]["signatures"][0]
        value = bytearray(base64.b64decode(signature["sig"]))
        value[-1] ^= 1
        signature["sig"] = base64.b64encode(value).decode()

    signed.change(flip)


def another_payload(signed: Signed) -> None:
    """The statement agrees with the file, and the signature is of another statement."""
    signed.file.write_bytes(b"{}")

    def change(content: Json) -> None:
        payload = base64.b64decode(content["dsseEnvelope"]["payload"]).decode()
        was, now = hashlib.sha256(CONTENT), hashlib.sha256(b"{}")
        payload = payload.replace(was.hexdigest(), now.hexdigest())
        payload = payload.replace(hashlib.sha256(was.digest()).hexdigest(), hashlib.sha256(now.digest()).hexdigest())
        content["dsseEnvelope"]["payload"] = base64.b64encode(payload.encode()).decode()

    signed.change(change)


BAD: dict[str, Callable[[Signed], object]] = {
    "another key": another_key,
    "another signer": another_signer,
    "one bit of the signature": one_bit,
    "another payload": another_payload,
    "another hint": put("verificationMaterial.publicKey.hint", "0" * 64),
    "another media type": put("mediaType", "application/json"),
    "another payload type": put("dsseEnvelope.payloadType", "application/json"),
    "an empty signature": put("dsseEnvelope.signatures.0.sig", ""),
    "no signatures": put("dsseEnvelope.signatures", []),
    "no envelope": put("dsseEnvelope", None),
    "another content": lambda signed: signed.file.write_bytes(b"{}"),
    "no JSON": lambda signed: signed.bundle.write_bytes(b"\xff{"),
    "nothing": lambda signed: signed.bundle.write_bytes(b""),
    "another kind of statement": lambda signed: signed.sign_statement(lambda each: each.update(_type="another")),
    "another predicate": lambda signed: signed.sign_statement(lambda each: each.update(predicateType="another")),
    "another name": lambda signed: signed.sign_resources(["2.json"]),
    "two files": lambda signed: signed.sign_resources(["2.json", NAME]),
    "no file": lambda signed: signed.sign_resources([]),
}


def test_both_believe_a_good_signature(signed: Signed) -> None:
    assert (True, True) == (signed.we_believe(), signed.model_signing_believes())


def test_both_believe_a_statement_written_in_another_way(signed: Signed) -> None:
    """What is signed is its bytes, whatever the order and the spaces in them."""
    signed.sign_resources([NAME])

    assert (True, True) == (signed.we_believe(), signed.model_signing_believes())


@pytest.mark.parametrize("what", BAD)
def test_neither_believes_a_bad_one(signed: Signed, what: str) -> None:
    BAD[what](signed)

    assert (False, False) == (signed.we_believe(), signed.model_signing_believes())


def test_only_model_signing_believes_a_bundle_of_its_first_releases_that_names_no_key(
    signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    """We never wrote such, and so need not guess whose it is."""
    put("verificationMaterial.publicKey", {})(signed)

    assert (False, True) == (signed.we_believe(), signed.model_signing_believes())
    assert "older" in capsys.readouterr().out
