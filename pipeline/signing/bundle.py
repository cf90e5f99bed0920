"""One signed file, in the bundle that `model_signing sign key` writes for a folder with that file alone.

It is made by model-signing and checked without it: that library takes most of a second to import, for which a roll-back
must not wait, and a process that only verifies need not have it. A contract test holds both to the same answers.

The bundle is a DSSE envelope: what is signed is an in-toto statement, which names the file and holds its SHA-256.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from pipeline.errors import BadInputError, DamagedError, StorageError
from pipeline.signing.keys import SIGNING, PublicKeys

_IN_TOTO = "application/vnd.in-toto+json"


class _Key(BaseModel):
    hint: str


class _Material(BaseModel):
    public_key: _Key = Field(alias="publicKey")


class _Signature(BaseModel):
    sig: Base64Bytes


class _Envelope(BaseModel):
    payload: Base64Bytes
    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    signatures: tuple[_Signature]


class _Bundle(BaseModel):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"] = Field(alias="mediaType")
    material: _Material = Field(alias="verificationMaterial")
    envelope: _Envelope = Field(alias="dsseEnvelope")


class _Resource(BaseModel):
    name: str
    algorithm: Literal["sha256"]
    digest: str


class _Predicate(BaseModel):
    resources: tuple[_Resource]


class _Statement(BaseModel):
    kind: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    predicate_type: Literal["https://model_signing/signature/v1.0"] = Field(alias="predicateType")
    predicate: _Predicate


def require_library() -> None:
    """Without it nothing can be signed.

    Raises:
        BadInputError: it is not installed; says how it is.
    """
    try:
        import model_signing.signing  # noqa: F401
    except ImportError as error:
        raise BadInputError(
            f"{SIGNING} is set, and model-signing cannot be imported ({error}): pip install -r requirements-sign.txt, "
            f"or leave the setting out"
        ) from error


def sign(content: bytes, *, name: str, folder: str, private_key: Path) -> bytes:
    """A bundle for `content` as the file `name` of a folder. It is another one each time, and each is valid.

    Raises:
        StorageError: this machine has no room for a copy.
    """
    import model_signing.signing

    signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=private_key)
    try:
        with tempfile.TemporaryDirectory() as aside:
            signed, bundle = Path(aside) / folder, Path(aside) / "bundle"
            signed.mkdir()
            (signed / name).write_bytes(content)
            signing.sign(signed, bundle)
            return bundle.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot sign {name} in {tempfile.gettempdir()}: {error}") from error


def require_signed(bundle: bytes, content: bytes, *, name: str, believed: PublicKeys) -> None:
    """Hold a bundle to what it should show: that somebody who is believed has signed `content` as the file `name`.

    Raises:
        DamagedError: it does not, and why.
    """
    signed = _signed_file(bundle, believed)
    if signed.name != name:
        raise DamagedError(f"it signs {signed.name}")
    if signed.digest != hashlib.sha256(content).hexdigest():
        raise DamagedError(f"it signs another {name}")


def _signed_file(bundle: bytes, believed: PublicKeys) -> _Resource:
    try:
        found = _Bundle.model_validate_json(bundle)
    except ValidationError:
        raise DamagedError("it is not what model-signing writes for a key") from None
    key = believed.get(found.material.public_key.hint)
    if key is None:
        raise DamagedError(
            f"it is by the key {found.material.public_key.hint[:16]}, which is not among the trusted keys"
        )
    payload = found.envelope.payload
    try:
        key.verify(found.envelope.signatures[0].sig, _pre_authentication(payload), ec.ECDSA(SHA256()))
        return _Statement.model_validate_json(payload).predicate.resources[0]
    except InvalidSignature:
        raise DamagedError("it was changed, or was never made by the key it names") from None
    except ValidationError:
        raise DamagedError("it does not sign exactly one file") from None


def _pre_authentication(payload: bytes) -> bytes:
    """DSSE's PAE, version 1: what is signed says its type and its length, so that it can be taken for nothing else."""
    return b"DSSEv1 %d %s %d %s" % (len(_IN_TOTO), _IN_TOTO.encode(), len(payload), payload)
