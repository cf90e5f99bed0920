"""The latest roll-out for one replica: servers take the highest version below the base path, which follows the journal.

A folder that appears there is loaded and gets the traffic at once; removing it takes the traffic back. Every published
version is kept where no server looks. Below the base path are copies, which are made and removed as needed.
"""

import logging
from collections.abc import Sequence

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import DamagedError, MissingError, NewerVersionError, StorageError
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.journal.manifests import Manifest, Manifests
from pipeline.journal.state import State, below_base_path, newest
from pipeline.rollout import config
from pipeline.rollout.waiting import ReplicaState, described
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK
from serving.replica import Replica

log = logging.getLogger(__name__)


class BasePathPlacement:
    """The copies below the base path. For what each method does see `pipeline.rollout.placement.Placement`."""

    name: RolloutName = "latest"
    label = None

    def __init__(self, model: str, bucket: Bucket, journal: Journal, manifests: Manifests, *, base_path: str) -> None:
        self.base_path = base_path
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self._manifests = manifests
        self._seen_complete: set[int] = set()
        self._complaints: set[str] = set()

    def without_bucket(self, addresses: Sequence[str]) -> str:  # noqa: ARG002 - see the docstring of `Placement`
        return ""

    def in_memory(self, state: State) -> tuple[int, ...]:
        top = newest(state)
        return (top,) if top is not None else ()

    def answering(self, state: State) -> int | None:
        return newest(state)

    def rendered(self, history: History) -> str:
        return config.render_latest(model=self._model, base_path=self.base_path, seq=history.seq)

    def followed(self, replica: Replica, version: int) -> ReplicaState:
        behind = replica.version_behind(self._model, None)
        message = f"answers {'nothing' if behind is None else f'v{behind}'}"
        status = replica.status(self._model, version) if behind != version else None
        if status is None:
            return ReplicaState(replica.address, ready=behind == version, message=message)
        return ReplicaState(
            replica.address, ready=False, message=f"{message}, {described(version, status)}", failed=status.failed
        )

    def follow_seconds(self, *, follow: float, load: float) -> float:
        return follow + load

    def may_not_listen(self, state: State) -> bool:
        """Whether nothing should be in memory: a server that starts on an empty base path opens no port."""
        return not self.in_memory(state)

    def needs_config(self, replica: Replica, state: State, history: History) -> bool:  # noqa: ARG002 - see `heal`
        return False

    def heal(self, replica: Replica, state: State) -> str | None:  # noqa: ARG002 - see `run_rules.reissue`
        """Do nothing: a server that polls a base path needs a new number, see `pipeline.rules.run.reissue`."""
        return None

    def place(self, history: History) -> StorageError | None:
        """Copy the serving version and the candidate first, then remove superfluous versions, then copy `previous`.

        This order keeps the base path from being empty while anything serves, and from showing a number that no server
        should load. `previous` is only needed for the next roll-back, so no user waits for its copy. Nothing is removed
        as long as the version that should answer is missing.
        """
        state = history.state
        wanted = below_base_path(state)
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
        wanted, found = below_base_path(history.state), self._numbers()
        sentences = []
        for version in wanted:
            try:
                manifest = self._manifests.read(version, history)
            except (DamagedError, MissingError, NewerVersionError) as error:
                sentences.append(f"the manifest of v{version} cannot be read, so its files cannot be checked: {error}")
                continue
            folder = layout.version(self._model, version)
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
            f"{layout.version(self._model, version)} should not exist, because servers take the highest number. Run "
            f"`understudy reconcile --model <model>`"
            for version in sorted(found.difference(wanted))
            if version < history.state.next_version
        ]

    def _numbers(self) -> frozenset[int]:
        return layout.version_numbers(self._bucket.names(layout.versions(self._model)))

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
                raise StorageError(
                    f"{self._bucket.uri(layout.versions(self._model))} contains the versions {unknown}, which are not "
                    f"in the journal, and servers serve the highest number. Restore the lost journal entries, or "
                    f"remove what was created by hand. Until then no command changes what serves"
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
        target = layout.version(self._model, version)
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
                still=lambda: version in below_base_path(self._journal.read().state),
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
                    layout.version(self._model, version),
                    still=lambda: newest(self._journal.read().state) != version,
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
        if self._is_complete(layout.version(self._model, version), manifest):
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
        except DamagedError:
            return False
        return True

    def _take_away(self, version: int) -> None:
        self._seen_complete.discard(version)
        gone = self._bucket.remove(
            layout.version(self._model, version),
            still=lambda: version not in below_base_path(self._journal.read().state),
        )
        if gone:
            log.info("v%d is removed from below the base path", version)
