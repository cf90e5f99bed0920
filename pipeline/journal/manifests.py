"""What was approved under a version number: every file, the expected answers, the origin, and who approved it.

A manifest lies where no server looks, and is written once. The journal's `published` entry holds its SHA-256. So a
changed file or a changed manifest is noticed. Signatures (`pipeline.signing`) also protect against somebody who can
change the journal.
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
from pipeline.stored import stored

# The file of a SavedModel that lists its labels, one a line (`pipeline.training.export`).
_LABELS_FILE = "assets/labels.txt"


class Manifest(BaseModel):
    """What was approved. It holds no time of writing, so a repeated publish writes the same bytes.

    Attributes:
        model: the name of the model.
        version: its number.
        run_key: the run it came from.
        files: the sums of every file, by its path in the version's folder.
        model_digest: one SHA-256 for all files.
        golden_digest: covers the canary's questions and the expected answers.
        labels_digest: covers the labels in their order.
        data_digest: covers the images, their labels and splits.
        code_version: the version of the code that began the run.
        approved_by: `the gate`, or the person who overruled it.
        labels: in the order of their indices. None in manifests from before 2026-12; use `Manifests.labels`.
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
    """The manifest of a run's model, from the records of its verbs."""
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
    """SHA-256 of every question of the canary and its expected answer, in their order."""
    return _sha256(ProbeSet(golden=probes.golden, fresh=probes.fresh).model_dump_json(include={"golden", "fresh"}))


def labels_digest(labels: Sequence[str]) -> str:
    """SHA-256 of the labels in their order, one a line."""
    return _sha256("\n".join(labels))


class Manifests:
    """The manifests of one model, and whether the bucket still holds what they say.

    A reissued version has the manifest and the files of its original.

    Args:
        bucket: the bucket.
        model: the model.
        folder: the permanent folder of a version, given model and number; it depends on the roll-out.
        signatures: signs and verifies manifests, if keys are set.
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
        """The permanent folder of a version's files."""
        return self._folder(self._model, history.original(version))

    def write(self, manifest: Manifest) -> str:
        """Store the manifest and, if a key is set, its signature; returns its SHA-256. Repeating it changes nothing.

        Raises:
            BadInputError: it must be signed and cannot be.
            DamagedError: the bucket holds a different manifest under this number, or a signature of something else.
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
        """The manifest of a version, compared with the journal and, if a key is set, with its signature.

        Raises:
            BadInputError: the verifying key cannot be used.
            MissingError: there is no manifest, or the version was never published.
            DamagedError: it is not the one in the journal, is not signed, or belongs to another version.
            NewerVersionError: a newer version wrote it.
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
        manifest = stored(Manifest, content, key=key, what="a manifest")
        if (manifest.model, manifest.version) != (self._model, version):
            raise DamagedError(
                f"{key} is the manifest of {manifest.model} v{manifest.version}, put in another's place; restore it"
            )
        return manifest

    def labels(self, version: int, history: History) -> tuple[str, ...]:
        """The labels of a version, in the order of their indices, as long as its files exist.

        A manifest that has only their digest is completed by the list inside the SavedModel.

        Raises:
            BadInputError: the verifying key cannot be used.
            MissingError: there is no manifest, or no list if the manifest has none.
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
        """Compare every byte of a version with its manifest. In an object store that downloads the version.

        Raises:
            DamagedError: names each file that is not what was approved.
            MissingError: there is no manifest, or there are no files.
        """
        manifest = self.read(version, history)
        folder = self.folder(version, history)
        require_equal(self._bucket.sums(folder), manifest.files, folder=folder)
        return manifest

    def verify_checksums(self, version: int, history: History) -> None:
        """Compare the stored checksums of a version with its manifest, as `require_intact` does.

        Raises:
            DamagedError: names each file that is not what was approved.
            MissingError: there is no manifest, or there are no files.
        """
        self.require_intact(self.folder(version, history), self.read(version, history))

    def require_intact(self, folder: str, manifest: Manifest) -> None:
        """Compare the CRC32C that the storage keeps for each file with a manifest. This finds accidents, not attacks.

        Anybody can make a file with a given CRC32C. So if a verifying key is set, every byte is read and SHA-256
        compared.

        Raises:
            DamagedError: names each file that is not what was approved.
            MissingError: there is no such folder.
        """
        if self.signatures.demanded:
            require_equal(self._bucket.sums(folder), manifest.files, folder=folder)
        else:
            require_equal(self._bucket.checksums(folder), checksums_of(manifest.files), folder=folder)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
