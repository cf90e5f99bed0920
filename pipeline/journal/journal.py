"""The journal: an append-only list of entries, each with the state after it.

Creating entry `seq+1` is at once the compare-and-swap, the claim of a version number, the audit record and the history:
a writer that loses the race reads the new state and decides again. Nothing here changes what servers find; see
`pipeline.rollout.rollout`.
"""

from pipeline import layout
from pipeline.clock import Clock
from pipeline.errors import StorageError
from pipeline.journal.entries import Change, Entry
from pipeline.journal.history import History, Rule
from pipeline.journal.observers import Observers
from pipeline.storage.bucket import Bucket
from pipeline.stored import stored


class Journal:
    """The journal of one model, read-only."""

    def __init__(self, bucket: Bucket, model: str) -> None:
        self._bucket = bucket
        self._model = model
        self._known = History(())

    def read(self) -> History:
        """Read all entries. Entries that were read before are not read again, because they never change.

        Raises:
            NewerVersionError: a newer version wrote an entry.
            StorageError: an entry is missing in the middle, or is not an entry. Nothing may be decided on half a
                history.
        """
        names = self._bucket.names(layout.journal(self._model))
        sequences = {seq for name in names if (seq := layout.entry_sequence(name)) is not None}
        missing = sorted(set(range(1, max(sequences, default=0) + 1)) - sequences)
        if missing:
            raise StorageError(f"the journal of {self._model} has no entry {missing}; restore what is missing")
        # An entry never changes, so each is read once.
        known = self._known
        new = [seq for seq in sorted(sequences) if seq > known.seq]
        if not new:
            return known
        contents = self._bucket.read_all([layout.entry(self._model, seq) for seq in new])
        entries = tuple(
            _parsed(layout.entry(self._model, seq), seq, each) for seq, each in zip(new, contents, strict=True)
        )
        history = History((*known.entries, *entries))
        if history.seq > self._known.seq:  # another thread may have read more meanwhile
            self._known = history
        return history

    @property
    def known(self) -> History:
        """The history that was read or written last, without asking the bucket."""
        return self._known


class JournalWriter(Journal):
    """A journal that one actor writes, for one run. The observers are scheduled for each entry."""

    def __init__(
        self, bucket: Bucket, model: str, *, run_key: str, actor: str, clock: Clock, observers: Observers | None = None
    ) -> None:
        super().__init__(bucket, model)
        self._run_key = run_key
        self._actor = actor
        self._clock = clock
        self._observers = observers or Observers(())

    def decide(self, rule: Rule) -> History:
        """Append what `rule` returns for the history; if another writer was first, ask the rule again.

        Args:
            rule: a pure function; it returns None if nothing is to be written. If it raises, nothing is written.

        Returns:
            The history that includes the new entry, or the history in which nothing was to be written.

        Raises:
            StorageError: the journal cannot be read, or it is not known whether the entry was written.
        """
        while True:
            history = self.read()
            change = rule(history)
            if change is None:
                return history
            entry = self._entry(history, change)
            if self._append(entry):
                self._observers.schedule(entry.event)
                self._known = History((*history.entries, entry))
                return self._known

    def _append(self, entry: Entry) -> bool:
        content = entry.model_dump_json(indent=1).encode()
        try:
            return self._bucket.create(layout.entry(self._model, entry.seq), content)
        except StorageError as error:
            which = f"journal entry {entry.seq} ({entry.description})"
            raise StorageError(f"whether {which} was written is not known: {error}") from error

    def _entry(self, history: History, change: Change) -> Entry:
        # A clock that is slow, or was set back, must not date an entry before the one it follows.
        earliest = [entry.at for entry in history.entries[-1:]]
        return Entry(
            seq=history.seq + 1,
            at=max([self._clock.now(), *earliest]),
            run_key=self._run_key,
            actor=self._actor,
            **vars(change),
        )


def _parsed(key: str, seq: int, content: bytes) -> Entry:
    # Not a DamagedError, which callers take for a damaged version that they may skip.
    entry = stored(Entry, content, key=key, what="a journal entry", damaged=StorageError)
    if entry.seq != seq:
        raise StorageError(f"{key} holds entry {entry.seq}; restore both as they were written")
    return entry
