"""Keys to sign with and to verify with, and where a signature lies."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline import layout
from tests.releases import MODEL, World

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """The files of a key that signs and of the one that verifies what it has signed."""

    private: Path
    public: Path

    @property
    def settings(self) -> dict[str, Path]:
        return {"signing_key": self.private, "verifying_key": self.public}


def pair(folder: Path, name: str, key: Key | None = None, *, sealed: KeySerializationEncryption | None = None) -> Pair:
    key = key or ec.generate_private_key(ec.SECP256R1())
    made = Pair(folder / f"{name}.pem", folder / f"{name}.pub.pem")
    made.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed or NoEncryption()))
    made.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return made


def signing_bucket(folder: Path, keys: Pair) -> World:
    """With nobody to serve from it: enough for what is refused before a server hears of it."""
    made = World(folder, extra=dict(keys.settings))
    made.start(0)
    return made


def signature(world: World, version: int) -> Path:
    return world.bucket / layout.signature(MODEL, version)


def manifest(world: World, version: int) -> Path:
    return world.bucket / layout.manifest(MODEL, version)
