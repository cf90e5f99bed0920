"""The latest roll-out: make what lies below the base path agree with the journal. Servers take the highest of it.

So a folder that appears is exposed and gets the traffic at once, and one that goes takes it back. Every published
version is kept where no server looks; what lies below the base path is a copy, made and taken away as it is needed.
"""

import logging
from collections.abc import Mapping

from pipeline import layout
from pipeline.errors import DamagedError, MissingError, StorageError
from pipeline.manifest import Manifests
from pipeline.release import config
from pipeline.release.journal import History, Journal
from pipeline.release.state import State, below_base_path, newest
from pipeline.settings import RolloutName
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import FileSum, checksums_of
from serving.replica import Replica

log = logging.getLogger(__name__)


class Latest:
    """See `pipeline.release.placement.Placement`."""

    name: RolloutName = "latest"
    label = None
    dark = False

    def __init__(self, model: str, bucket: Bucket, journal: Journal, manifests: Manifests) -> None:
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self._manifests = manifests
        self._seen_complete: set[int] = set()

    def in_memory(self, state: State) -> tuple[int, ...]:
        top = newest(state)
        return (top,) if top is not None else ()

    def answering(self, state: State) -> int | None:
        return newest(state)

    def rendered(self, history: History) -> str:
        base_path = self._bucket.uri(layout.versions(self._model))
        return config.render_latest(model=self._model, base_path=base_path, seq=history.seq)

    def heal(self, replica: Replica, state: State) -> str | None:  # noqa: ARG002 - see `decisions.reissue`
        """Nothing can be handed to a server that asks its storage; a new number is what gets every one on its way."""
        return None

    def place(self, history: History) -> None:
        """What is missing comes first, and what is too much goes only once the highest number is there.

        So the base path is never empty while anything serves, nor ever shows a number that nobody should take up. From
        the lowest to the highest, so that no server loads one that goes next.
        """
        wanted = below_base_path(history.state)
        found = self._found(history)
        there = [version for version in wanted if self._put(version, history, found=version in found)]
        if wanted and wanted[-1] not in there:
            log.error("v%d is not below the base path, so whatever is there stays", wanted[-1])
            return
        for version in sorted(found.difference(wanted)):
            self._take_away(version)

    def problems(self, history: History) -> list[str]:
        wanted, found = below_base_path(history.state), self._numbers()
        told = []
        for version in wanted:
            try:
                expected = self._manifests.read(version, history).files
            except (DamagedError, MissingError) as error:
                told.append(f"v{version} should be below the base path, and nobody knows its files: {error}")
                continue
            folder = layout.version(self._model, version)
            if version not in found:
                told.append(f"{folder} is missing, and servers look there: run `reconcile`")
            elif not self._is_complete(folder, expected):
                told.append(
                    f"{folder} is not what was approved, and a replica that starts loads it: roll back to another "
                    f"version, and back to it, which puts the approved files there"
                )
        return told + [
            f"{layout.version(self._model, version)} should be gone, and servers take the highest: run `reconcile`"
            for version in sorted(found.difference(wanted))
            if version < history.state.next_version
        ]

    def _numbers(self) -> frozenset[int]:
        return layout.version_numbers(self._bucket.names(layout.versions(self._model)))

    def _found(self, history: History) -> frozenset[int]:
        """The versions below the base path.

        Raises:
            StorageError: the journal knows nothing of one of them.
        """
        found = self._numbers()
        unknown = sorted(number for number in found if number >= history.state.next_version)
        if unknown:
            raise StorageError(
                f"{self._bucket.uri(layout.versions(self._model))} holds {unknown}, and servers take the highest; the "
                f"journal knows no such number: restore its lost entries, or remove what a hand has put there. Until "
                f"then no verb moves anything"
            )
        return found

    def _put(self, version: int, history: History, *, found: bool) -> bool:
        """Whether a version is complete below the base path, after putting it there where it is not."""
        if found and version in self._seen_complete:
            return True
        target = layout.version(self._model, version)
        try:
            expected = self._manifests.read(version, history).files
            there = (found and self._is_complete(target, expected)) or self._bucket.copy(
                self._manifests.folder(version, history),
                target,
                expected=expected,
                still=lambda: version in below_base_path(self._journal.read().state),
            )
        except (DamagedError, MissingError) as error:
            # Whoever asked goes on: a version that cannot be had must not stand in the way of going to another one.
            log.error("v%d cannot be put below the base path: %s", version, error)
            return False
        if there:
            self._seen_complete.add(version)
        return there

    def _is_complete(self, folder: str, expected: Mapping[str, FileSum]) -> bool:
        return self._bucket.checksums(folder) == checksums_of(expected)

    def _take_away(self, version: int) -> None:
        self._seen_complete.discard(version)
        gone = self._bucket.remove(
            layout.version(self._model, version),
            still=lambda: version not in below_base_path(self._journal.read().state),
        )
        if gone:
            log.info("v%d is taken from below the base path", version)
