"""The key that signs and the keys that are believed: PEM files, EC on the curve P-256.

What is in a file never appears in a message or in a traceback.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pipeline.errors import BadInputError

SIGNING = "UNDERSTUDY_SIGNING_KEY"
VERIFYING = "UNDERSTUDY_VERIFYING_KEY"

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_HOW = "docs/signatures.md says how to make a pair"


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in a file.

    Raises:
        BadInputError: there is none that can be used; names the file.
    """
    content = _content(path, SIGNING)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own words and the traceback behind them are about what is in the file.
        raise BadInputError(f"{SIGNING}: {path} holds no private key in PEM without a password; {_HOW}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInputError(f"{SIGNING}: the private key in {path} is not an EC key on the curve P-256; {_HOW}")
    return key


def read_public(path: Path) -> PublicKeys:
    """Every key in a file, by its hint: while a key is being replaced, both are believed.

    Raises:
        BadInputError: there is none that can be used, or one that cannot; names the file.
    """
    blocks = list(_BLOCK.finditer(_content(path, VERIFYING)))
    if any(b"PRIVATE" in block[1] for block in blocks):
        raise BadInputError(
            f"{VERIFYING}: {path} holds a private key, which only the process that publishes may have; give the public "
            f"one: openssl pkey -in PRIVATE.pem -pubout"
        )
    if not blocks:
        raise BadInputError(f"{VERIFYING}: {path} holds no public key in PEM; {_HOW}")
    keys = [_public(block[0], path) for block in blocks]
    return {hint(key): key for key in keys}


def hint(key: ec.EllipticCurvePublicKey) -> str:
    """By which a signature says whose it is: as model-signing has it, the SHA-256 of the public key in PEM."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _public(block: bytes, path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise BadInputError(f"{VERIFYING}: {path} contains something that is not a public key in PEM; {_HOW}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInputError(f"{VERIFYING}: a public key in {path} is not an EC key on the curve P-256; {_HOW}")
    return key


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{setting}: cannot read {path}: {error.strerror}; correct it, or leave it out") from error
