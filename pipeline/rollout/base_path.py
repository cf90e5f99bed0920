"""The folder where servers of the latest roll-out look for versions: copies that are made and removed as needed."""

import logging

from pipeline import layout
from pipeline.errors import DamagedError, MissingError, NewerVersionError, StorageError
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.journal.manifests import Manifest, Manifests
from pipeline.journal.state import State, below_base_path, newest
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK

log = logging.getLogger(__name__)


class BasePath:
    """One base path: that of the first ring, or that of all other replicas."""

    def __init__(
        self, model: str, bucket: Bucket, journal: Journal, manifests: Manifests, *, first_ring: bool = False
    ) -> None:
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self._manifests = manifests
        self._first_ring = first_ring
        self._folder = layout.first_ring_versions(model) if first_ring else layout.versions(model)
        self._seen_complete: set[int] = set()
        self._complaints: set[str] = set()

    def place(self, history: History) -> StorageError | None:
        """Make the folder agree with the journal; see `pipeline.rollout.placement.Placement.place`.

        Copy the serving version and the candidate first, then remove superfluous versions, then copy `previous`.

        This order keeps the base path from being empty while anything serves, and from showing a number that no server
        should load. `previous` is only needed for the next roll-back, so no user waits for its copy. Nothing is removed
        as long as the version that should answer is missing.
        """
        state = history.state
        wanted = self._wanted(state)
        found = self._found(history)
        needed = [version for version in wanted if version in (state.serving, state.candidate)]
        try:
            there = [version for version in needed if self._put(version, history, found=version in found)]
        except StorageError as error:
            missing = "its files are not in the folder that they read"
            problem = f"v{wanted[-1]} should serve, but servers cannot load it: {missing}"
            self._complain(problem, error)
            return StorageError(f"{problem}: {error}")
        if wanted and wanted[-1] not in there:
            return None
        # From the lowest to the highest, so that no server loads one that is removed next.
        for version in sorted(found.difference(wanted)):
            self._take_away(version)
        for version in set(wanted).difference(needed):
            self._put_way_back(version, history, found=version in found)
        return None

    def problems(self, history: History) -> list[str]:
        """What lies there and should not, or the other way round, as sentences with what to do."""
        wanted, found = self._wanted(history.state), self._numbers()
        sentences = []
        for version in wanted:
            try:
                manifest = self._manifests.read(version, history)
            except (DamagedError, MissingError, NewerVersionError) as error:
                sentences.append(f"the manifest of v{version} cannot be read, so its files cannot be checked: {error}")
                continue
            folder = self._path(version)
            if version not in found:
                sentences.append(
                    f"{folder} is missing, but servers look there. Run `understudy reconcile --model <model>`"
                )
            elif not self._is_complete(folder, manifest):
                sentences.append(
                    f"{folder} is not what was approved, and a replica that restarts loads it. Roll back to another "
                    f"version and then back to this one: that copies the approved files there again"
                    if version in (history.state.serving, history.state.candidate)
                    else f"{folder} is not what was approved. Run `understudy reconcile --model <model>`: it copies "
                    f"the approved files there again"
                )
        return sentences + [
            f"{self._path(version)} should not exist, because servers take the highest number. Run "
            f"`understudy reconcile --model <model>`"
            for version in sorted(found.difference(wanted))
            if version < history.state.next_version
        ]

    def _wanted(self, state: State) -> tuple[int, ...]:
        return below_base_path(state, first_ring=self._first_ring)

    def _path(self, version: int) -> str:
        return f"{self._folder}/{version}"

    def _numbers(self) -> frozenset[int]:
        return layout.version_numbers(self._bucket.names(self._folder))

    def _found(self, history: History) -> frozenset[int]:
        """The versions below the base path.

        Raises:
            StorageError: the journal does not know one of them.
        """
        found = self._numbers()
        if any(number >= history.state.next_version for number in found):
            # Another writer may have claimed a number since the history was read.
            known = self._journal.read().state.next_version
            unknown = ", ".join(f"v{number}" for number in sorted(found) if number >= known)
            if unknown:
                servers = "the first ring serves" if self._first_ring else "serves"
                raise StorageError(
                    f"{self._bucket.uri(self._folder)} contains the versions {unknown}, which are not "
                    f"in the journal, and servers serve the highest number. Restore the lost journal entries, or "
                    f"remove what was created by hand. Until then no command changes what {servers}"
                )
        return found

    def _put(self, version: int, history: History, *, found: bool) -> bool:
        """Copy a version below the base path if it is missing; whether servers find a version that they can load.

        If its manifest is lost, or was written by a newer version of Understudy, the files below the base path are
        accepted as they are: they are what serves. Waiting for approved ones would leave users with the version that
        was withdrawn.
        """
        if found and version in self._seen_complete:
            return True
        target = self._path(version)
        try:
            manifest = self._manifests.read(version, history)
        except (DamagedError, MissingError, NewerVersionError) as error:
            self._complain(f"the manifest of v{version} cannot be read, so its files cannot be checked", error)
            return found and MARK in self._bucket.names(target)
        try:
            there = (found and self._is_complete(target, manifest)) or self._bucket.copy(
                self._manifests.folder(version, history),
                target,
                expected=manifest.files,
                still=lambda: version in self._wanted(self._journal.read().state),
            )
        except (DamagedError, MissingError) as error:
            # Not raised: a damaged version must not prevent a move to another one.
            self._complain(
                f"v{version} cannot be copied to the folder that servers read, so servers cannot load it. Restore its "
                f"files, or roll back to another version",
                error,
            )
            return False
        if there:
            self._seen_complete.add(version)
        return there

    def _put_way_back(self, version: int, history: History, *, found: bool) -> None:
        """Copy `previous`. No server answers from it, so a damaged copy is replaced by the approved files."""
        try:
            if found and version not in self._seen_complete and self._can_be_repaired(version, history):
                self._bucket.remove(
                    self._path(version),
                    still=lambda: newest(self._journal.read().state, first_ring=self._first_ring) != version,
                )
                log.warning(
                    "the copy of v%d, the version to roll back to, was damaged in the folder that servers read, and is "
                    "replaced by the approved files",
                    version,
                )
            self._put(version, history, found=found)
        except StorageError as error:
            self._complain(
                f"v{version}, the version to roll back to, cannot be copied to the folder that servers read. Serving "
                f"is not affected. Restore its files",
                error,
            )

    def _can_be_repaired(self, version: int, history: History) -> bool:
        """Whether the copy is damaged and its source is intact."""
        manifest = self._manifests.read(version, history)
        if self._is_complete(self._path(version), manifest):
            return False
        self._manifests.verify_checksums(version, history)
        return True

    def _complain(self, problem: str, error: StorageError) -> None:
        """Log a problem once; a wait meets it in every round."""
        if problem not in self._complaints:
            self._complaints.add(problem)
            log.error("%s: %s", problem, error)

    def _is_complete(self, folder: str, manifest: Manifest) -> bool:
        try:
            self._manifests.require_intact(folder, manifest)
        except (DamagedError, MissingError):  # missing: another verb has removed it meanwhile
            return False
        return True

    def _take_away(self, version: int) -> None:
        self._seen_complete.discard(version)
        gone = self._bucket.remove(
            self._path(version),
            still=lambda: version not in self._wanted(self._journal.read().state),
        )
        if gone:
            log.info("v%d is removed from below the base path", version)
