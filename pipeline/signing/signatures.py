"""The signatures of one model's manifests, each beside its manifest: made, and asked for, where there are keys."""

from functools import cached_property
from pathlib import Path, PurePosixPath

from pipeline import layout
from pipeline.errors import BadInputError, DamagedError, MissingError
from pipeline.signing import bundle, keys
from pipeline.signing.keys import SIGNING, VERIFYING, PublicKeys
from pipeline.storage.bucket import Bucket

_WAY_OUT = f"restore both as they were published, sign it again (docs/signatures.md), or correct {VERIFYING}"


class Signatures:
    """With a signing key manifests are signed, with a verifying key none is believed without; with neither, neither.

    The files of the keys are read when they are needed first.
    """

    def __init__(
        self, bucket: Bucket, model: str, *, signing_key: Path | None = None, verifying_key: Path | None = None
    ) -> None:
        self._bucket = bucket
        self._model = model
        self._signing_key = signing_key
        self._verifying_key = verifying_key

    @property
    def demanded(self) -> bool:
        return self._verifying_key is not None

    def require_ready(self) -> None:
        """Find out, before anything is published, whether it can be signed so that it will be believed.

        Raises:
            BadInputError: a key cannot be used, the two do not belong together, or model-signing is not installed.
        """
        if self._signing_key is None:
            if self.demanded:
                raise BadInputError(
                    f"{VERIFYING} is set and {SIGNING} is not: what is published unsigned would be refused by its "
                    f"canary; give this process the key that signs"
                )
            return
        bundle.require_library()
        own = keys.hint(keys.read_private(self._signing_key).public_key())
        if own not in self._believed:
            raise BadInputError(
                f"{SIGNING}: the public key of {self._signing_key} is not in {self._verifying_key}, so what it signs "
                f"would be refused; add it there: openssl pkey -in {self._signing_key} -pubout"
            )

    def sign(self, version: int, manifest: bytes) -> None:
        """Store a signature beside a version's manifest; one that is there already and is valid stays.

        Raises:
            BadInputError: as `require_ready`.
            DamagedError: what is there is no signature of this manifest by a key that is believed.
        """
        if self._signing_key is None:
            return
        self.require_ready()
        key = layout.signature(self._model, version)
        try:
            found = self._bucket.read(key)
        except MissingError:
            name = self._name(version)
            made = bundle.sign(manifest, name=name, folder=self._model, private_key=self._signing_key)
            if self._bucket.create(key, made):
                return
            found = self._bucket.read(key)  # another copy of this run was first, and no two signatures are the same
        self._require_valid(found, version, manifest, believed=self._believed)

    def require(self, version: int, manifest: bytes) -> None:
        """Hold a version's manifest against its signature, where a key is there to verify with.

        Raises:
            BadInputError: the verifying key cannot be used.
            DamagedError: the manifest has no valid signature by a trusted key for this number.
        """
        if not self.demanded:
            return
        believed = self._believed
        try:
            found = self._bucket.read(layout.signature(self._model, version))
        except MissingError as error:
            raise DamagedError(
                f"{layout.manifest(self._model, version)} is not signed: "
                f"{layout.signature(self._model, version)} does not exist; {_WAY_OUT}"
            ) from error
        self._require_valid(found, version, manifest, believed=believed)

    def _require_valid(self, found: bytes, version: int, manifest: bytes, *, believed: PublicKeys) -> None:
        try:
            bundle.require_signed(found, manifest, name=self._name(version), believed=believed)
        except DamagedError as error:
            raise DamagedError(
                f"{layout.signature(self._model, version)} is not a valid signature of "
                f"{layout.manifest(self._model, version)}: {error}; {_WAY_OUT}"
            ) from error

    @cached_property
    def _believed(self) -> PublicKeys:
        if self._verifying_key is not None:
            return keys.read_public(self._verifying_key)
        assert self._signing_key is not None, "nobody asks where there is no key"
        own = keys.read_private(self._signing_key).public_key()
        return {keys.hint(own): own}

    def _name(self, version: int) -> str:
        """Under which the manifest is signed, so that it cannot be put in the place of another version's."""
        return PurePosixPath(layout.manifest(self._model, version)).name
