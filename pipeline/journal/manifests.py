"""What was approved under a version number: every file, what it must answer, where it came from, and who said yes.

The manifest lies outside of what servers read and is written once. The journal's `published` entry holds its SHA-256,
so neither a file nor the manifest itself can be another later without somebody noticing. Against a person who can
change the journal, too, there are signatures (`pipeline.signing`).
"""

import hashlib
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from pipeline import layout
from pipeline.errors import DamagedError, MissingError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.runs.records import GateRecord, ProbeSet, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.signing.signatures import Signatures
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import FileSum, checksums_of, require_equal

# Where a SavedModel of ours lists its labels, one a line (`pipeline.training.export`).
_LABELS_FILE = "assets/labels.txt"


class Manifest(BaseModel):
    """Nothing in it depends on when it is written: a repeated publish writes the same bytes.

    `golden_digest` covers what the canary asks and the answers it expects, `labels_digest` the labels in their order,
    `approved_by` is the gate or the person who overruled it. `labels` is None in manifests of before 2026-12: read the
    labels of a version with `Manifests.labels`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: int
    run_key: str
    files: dict[str, FileSum]
    model_digest: str
    golden_digest: str
    labels_digest: str
    data_digest: str
    code_version: str
    approved_by: str
    labels: tuple[str, ...] | None = None


def make_manifest(
    version: int, *, spec: SpecRecord, data: SnapshotRecord, trained: TrainRecord, probes: ProbeSet, gate: GateRecord
) -> Manifest:
    """The manifest of a run's model, from what its verbs have recorded."""
    run = spec.spec
    return Manifest(
        model=run.model.name,
        version=version,
        run_key=run.run_key,
        files=trained.files,
        model_digest=trained.model_digest,
        golden_digest=golden_digest(probes),
        labels_digest=labels_digest(data.labels),
        data_digest=data.digest,
        code_version=run.code_version,
        approved_by=gate.forced_by or "the gate",
        labels=data.labels,
    )


def golden_digest(probes: ProbeSet) -> str:
    """Of every question of the canary and its answer, in their order."""
    return _sha256(ProbeSet(golden=probes.golden, fresh=probes.fresh).model_dump_json(include={"golden", "fresh"}))


def labels_digest(labels: Sequence[str]) -> str:
    return _sha256("\n".join(labels))


class Manifests:
    """The manifests of one model, and whether the bucket still holds what they say.

    A version that was reissued has the manifest and the files of the one it is a copy of.

    Args:
        bucket: the bucket.
        model: the model.
        folder: where a version of a model lies for good; it depends on the roll-out.
        signatures: who signs the manifests, and whose signature is asked for.
    """

    def __init__(
        self,
        bucket: Bucket,
        model: str,
        *,
        folder: Callable[[str, int], str],
        signatures: Signatures,
    ) -> None:
        self._bucket = bucket
        self._model = model
        self._folder = folder
        self.signatures = signatures

    def folder(self, version: int, history: History) -> str:
        """Where the files of a version lie for good."""
        return self._folder(self._model, history.original(version))

    def write(self, manifest: Manifest) -> str:
        """Store the manifest and, where there is a key for it, its signature, each once; its SHA-256.

        Raises:
            BadInputError: it is to be signed and cannot be.
            DamagedError: another one is there, which no run of ours has written, or a signature that is none of it.
        """
        key = layout.manifest(self._model, manifest.version)
        content = manifest.model_dump_json(indent=1)
        if not self._bucket.create(key, content.encode()):
            raise DamagedError(
                f"{key} already exists and is not what run {manifest.run_key} has approved: it was changed by "
                f"hand, or the records of the run were. Trigger a new run"
            )
        self.signatures.sign(manifest.version, content.encode())
        return _sha256(content)

    def read(self, version: int, history: History) -> Manifest:
        """The manifest the journal has seen, signed where signatures are asked for.

        Raises:
            BadInputError: the key to verify it with cannot be used.
            MissingError: there is none, or the version was never published.
            DamagedError: it is not the one the journal has seen, is not signed, or is that of another version.
        """
        version = history.original(version)
        published = history.of_version(version, Event.PUBLISHED)
        if published is None or published.manifest is None:
            raise MissingError(f"the journal knows of no manifest of v{version}")
        key = layout.manifest(self._model, version)
        content = self._bucket.read(key)
        if hashlib.sha256(content).hexdigest() != published.manifest:
            raise DamagedError(
                f"{key} is not the manifest that journal entry {published.seq} has recorded. Restore it, or release "
                f"the model again"
            )
        self.signatures.require(version, content)
        manifest = Manifest.model_validate_json(content)
        if (manifest.model, manifest.version) != (self._model, version):
            raise DamagedError(
                f"{key} is the manifest of {manifest.model} v{manifest.version}, put in another's place; restore it"
            )
        return manifest

    def labels(self, version: int, history: History) -> tuple[str, ...]:
        """The labels of a version, in the order of their indices; they are known as long as the version can serve.

        A manifest that has only their digest is completed by the list inside the SavedModel.

        Raises:
            BadInputError: the key to verify the manifest with cannot be used.
            MissingError: there is no manifest, or no list where the manifest has none.
            DamagedError: the manifest or the list is not what was approved.
        """
        manifest = self.read(version, history)
        if manifest.labels is not None:
            return manifest.labels
        key = f"{self.folder(version, history)}/{_LABELS_FILE}"
        labels = tuple(self._bucket.read(key).decode(errors="replace").removesuffix("\n").split("\n"))
        if labels_digest(labels) != manifest.labels_digest:
            raise DamagedError(f"{key} does not list the labels that v{version} was approved with; restore it")
        return labels

    def verify(self, version: int, history: History) -> Manifest:
        """Read back every byte of a version.

        Raises:
            DamagedError: a file is not what was approved; names each.
            MissingError: there is no manifest or there are no files.
        """
        manifest = self.read(version, history)
        folder = self.folder(version, history)
        require_equal(self._bucket.sums(folder), manifest.files, folder=folder)
        return manifest

    def look_over(self, version: int, history: History) -> None:
        """The same as `require_intact` does it: quick in a bucket of any size, where no signatures are asked for.

        Raises:
            DamagedError: a file is not what was approved; names each.
            MissingError: there is no manifest or there are no files.
        """
        self.require_intact(self.folder(version, history), self.read(version, history))

    def require_intact(self, folder: str, manifest: Manifest) -> None:
        """Hold a folder against a manifest by the checksums the storage keeps, which is good against accidents.

        Anybody can make a file with a given CRC32C, so where signatures are asked for, every byte is read all the same.

        Raises:
            DamagedError: a file is not what was approved; names each.
            MissingError: there is no such folder.
        """
        if self.signatures.demanded:
            require_equal(self._bucket.sums(folder), manifest.files, folder=folder)
        else:
            require_equal(self._bucket.checksums(folder), checksums_of(manifest.files), folder=folder)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
