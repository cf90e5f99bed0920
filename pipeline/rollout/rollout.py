"""Make what servers find agree with the journal: the configs, and the versions below the base path."""

from collections.abc import Mapping

from pipeline import layout
from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.rollout import config
from pipeline.rollout.placement import Placement
from pipeline.storage.bucket import Bucket
from pipeline.stored import newer_version


class Rollout:
    """What one model's journal makes servers find in the bucket.

    A fleet with a first ring has a second config, for the replicas in it. Each config names the entry that it renders,
    so a pair of which only one was written is recognised, and the next `settle` completes it.

    Attributes:
        placement: the roll-out.
        unplaced: why the version that should answer could not be copied, when `settle` was last called; None if it
            could.
    """

    def __init__(
        self, *, model: str, placement: Placement, bucket: Bucket, journal: Journal, first_ring: bool = False
    ) -> None:
        """Nothing is read yet. `first_ring`: there may be servers that poll the config of the first ring."""
        self.placement = placement
        self.unplaced: StorageError | None = None
        self._model = model
        self._bucket = bucket
        self._journal = journal
        # The candidate comes to the first ring first.
        self._keys = (*([layout.first_ring_config(model)] if first_ring else []), layout.config(model))

    def settle(self, *, first: bool = False) -> History:
        """Make the configs and the base paths agree with the last journal entry; returns that history.

        Two processes may do this at once, one of them with an older history. The config is replaced only if it still is
        what was read before the journal, so a newer config is never overwritten, however late the write. If the version
        that should answer has no room, `unplaced` says so; only a wait for that version raises it.

        Args:
            first: write a config although the journal has no entry, also over that of the other roll-out. Otherwise a
                mistyped name or bucket leaves no trace.

        Raises:
            BadInputError: this bucket is used with the other roll-out.
            NewerVersionError: a newer version wrote the config or an entry; nothing was changed.
            StorageError: the bucket refused, and the next verb tries again; or the journal has lost its last entries.
        """
        while True:
            found = {key: self._content(key) for key in self._keys}
            history = self._journal.read()
            self._require_usable(history, found, first=first)
            if history.seq:
                self.unplaced = self.placement.place(history)
            elif not first:
                return history
            wanted = {key: text.encode() for key, text in self.rendered(history).items()}
            if found == wanted:
                return history
            for key in (each for each in self._keys if found[each] != wanted[each]):
                self._write(key, wanted[key], instead_of=found[key], seq=history.seq)

    def _require_usable(self, history: History, found: Mapping[str, bytes | None], *, first: bool) -> None:
        for key, content in found.items():
            _require_whole(history, _text(content))
            if history.seq or not first:
                self._require_this_rollout(key, _text(content))

    def rendered(self, history: History) -> Mapping[str, str]:
        """The configs that servers should find, by their keys in the bucket."""
        first_ring = layout.first_ring_config(self._model)
        return {key: self.placement.rendered(history, first_ring=key == first_ring) for key in self._keys}

    def require_this_rollout(self) -> None:
        """Check that the servers of this bucket use the roll-out of the settings, and that no entries are lost.

        Nothing is changed.

        Raises:
            BadInputError: they use the other one.
            NewerVersionError: a newer version wrote their config.
            StorageError: the journal cannot be read, or has lost its last entries.
        """
        configs = self.configs()
        history = self._journal.read()
        for key, text in configs.items():
            _require_whole(history, text)
            self._require_this_rollout(key, text)

    def _write(self, key: str, content: bytes, *, instead_of: bytes | None, seq: int) -> None:
        try:
            self._bucket.replace(key, content, instead_of=instead_of)
        except StorageError as error:
            if not seq:
                raise StorageError(f"writing the config may have failed. Repeat this command: {error}") from error
            raise StorageError(
                f"journal entry {seq} is written, but writing the config may have failed, so replicas may not change. "
                f"Run `understudy reconcile --model {self._model}`: {error}"
            ) from error

    def _require_this_rollout(self, key: str, found: str | None) -> None:
        unknown = config.unknown_format(found or "")
        if unknown is not None:
            raise newer_version(key, f"its first line says {unknown!r}")
        other = config.rollout_of(found or "")
        if other not in (None, self.placement.name):
            raise BadInputError(
                f"the fleet of {self._bucket.uri()} is served by the roll-out {other!r}, and its fleet record, or "
                f"UNDERSTUDY_ROLLOUT if it has none, says {self.placement.name!r}: correct that. To change "
                f"the roll-out of a fleet, use a new bucket"
            )

    def configs(self) -> Mapping[str, str | None]:
        """The configs that servers find, by their keys; None for one that is missing. Invalid UTF-8 is replaced."""
        return {key: _text(self._content(key)) for key in self._keys}

    def has_config(self) -> bool:
        """Whether there is any config, be it of an older release or written before the first one."""
        return any(text is not None for text in self.configs().values())

    def _content(self, key: str) -> bytes | None:
        try:
            return self._bucket.read(key)
        except MissingError:
            return None


def _text(content: bytes | None) -> str | None:
    """The text of a config. One that was written by hand may hold any bytes."""
    return content.decode(errors="replace") if content is not None else None


def _require_whole(history: History, found: str | None) -> None:
    """Check that no entries are lost: the config was read before the journal, so it can only be older."""
    seq = rendered_entry(found or "")
    if seq is not None and seq > history.seq:
        raise StorageError(
            f"the config was written from journal entry {seq}, but the journal ends at {history.seq}: entries are "
            f"lost, or this "
            f"is not the bucket of the servers. Restore the entries, or correct UNDERSTUDY_ROOT. Until then no "
            f"command changes anything"
        )
