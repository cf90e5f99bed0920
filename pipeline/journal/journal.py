"""The journal: an append-only list of entries, each with the state after it.

Creating entry `seq+1` is at once the compare-and-swap, the claim of a version number, the audit record and the history:
a writer that loses the race reads the new state and decides again. Nothing here changes what servers find; see
`pipeline.rollout.rollout`.

A checkpoint says what the entries up to one of them say (`pipeline.journal.checkpoints`). A reader of the
journal takes the newest checkpoint, compares it with its entry, and reads the entries after it.
"""

import logging
from collections.abc import Sequence

from pipeline import layout
from pipeline.clock import Clock
from pipeline.errors import MissingError, StorageError
from pipeline.journal.checkpoints import Checkpoints
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Change, Entry
from pipeline.journal.folding import folded
from pipeline.journal.history import History, Rule
from pipeline.journal.observers import Observers
from pipeline.journal.pages import digest_of
from pipeline.journal.past import Past, beginning
from pipeline.journal.stored_entries import StoredEntries
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

# There is a checkpoint of each entry with a multiple of this number, once as many entries follow it. So the newest
# entries are always at hand, and about twice as many are read at most.
EVERY = 16
# Entries that are read at once where there is no checkpoint.
_BATCH = 256
# Checkpoints that are looked at, the newest first, before all entries are read.
_TRIED = 64


class Journal:
    """The journal of one model, read-only.

    Args:
        bucket: where it is stored.
        model: the name of the model.
        every: as `EVERY`.
    """

    def __init__(self, bucket: Bucket, model: str, *, every: int = EVERY) -> None:
        self._bucket = bucket
        self._model = model
        self._every = every
        self._entries = StoredEntries(bucket, model)
        self._checkpoints = Checkpoints(bucket, model)
        self._known: History | None = None
        # The SHA-256 of each entry that was read or written, by its number.
        self._digests: dict[int, str] = {}
        # The entry of the checkpoint that reading began with; 0 for none.
        self._checkpointed = 0

    def read(self) -> History:
        """Read what is new. Entries that were read before are not read again, because they never change.

        Raises:
            NewerVersionError: a newer version wrote an entry.
            StorageError: an entry is missing in the middle, or is not an entry. Nothing may be decided on half a
                history.
        """
        known = self._known
        history = self._newest() if known is None else self._with_new(known)
        if self._known is None or history.seq > self._known.seq:  # another thread may have read more meanwhile
            self._known = history
        return self._known

    @property
    def known(self) -> History:
        """The history that was read or written last, without asking the bucket."""
        return self._known or History((), beginning(self))

    def entries(self, numbers: Sequence[int]) -> Sequence[Entry]:
        """The entries with these numbers, in their order, read from the bucket at once.

        Raises:
            StorageError: one of them is missing, or is not an entry.
        """
        return self._read(numbers)

    def until(self, seq: int) -> History:
        """The history up to and including entry `seq`, read from the bucket.

        Raises:
            StorageError: as `read`.
        """
        near = self._from_checkpoint(after=seq - 4 * self._every, until=seq)
        return near or self._from_checkpoint(after=0, until=seq) or self._from_entries(until=seq)

    def rebuilt(self, seq: int) -> Past:
        """The past up to and including entry `seq`, from the entries alone.

        Raises:
            StorageError: as `read`.
        """
        history = self._from_entries(until=seq)
        return self._folded(history, seq).past

    def _newest(self) -> History:
        """Begin with the newest checkpoint. The config names an entry near the last one, so few names are listed."""
        rendered = self._rendered()
        near = self._from_checkpoint(after=rendered - 4 * self._every) if rendered is not None else None
        history = near or self._from_checkpoint(after=0) or self._from_entries()
        self._checkpointed = history.past.seq if history.past.is_stored else 0
        if self._checkpoints.unlisted:  # and the entries can be read
            log.warning("no checkpoint of the journal is used: %s", self._checkpoints.unlisted)
        return history

    def _rendered(self) -> int | None:
        """The entry that servers follow; None where no config says it."""
        try:
            return rendered_entry(self._bucket.read(layout.config(self._model)).decode(errors="replace"))
        except MissingError:
            return None

    def _from_checkpoint(self, *, after: int, until: int | None = None) -> History | None:
        """The history from the newest checkpoint that matches its entry; None if there is none.

        After a loss of entries there may be many checkpoints of lost ones, so their entries are looked at first.
        """
        known = [each for each in self._checkpoints.usable(after=max(0, after)) if until is None or each[0] <= until]
        known = known[-_TRIED:]
        if not known:
            return None
        listed = self._entries.listed(after=known[0][0] - 1) if until is None else range(known[0][0], until + 1)
        entries: dict[int, Entry] = {}
        for seq, digest in reversed(known):
            numbers = [each for each in listed if each >= seq]
            if numbers[:1] != [seq]:
                log.warning("the checkpoint of entry %d is ignored: there is no such entry. Is it lost?", seq)
                continue
            self._entries.require_whole(numbers, after=seq - 1)
            first = [each for each in numbers[:_BATCH] if each not in entries]
            entries |= {entry.seq: entry for entry in self._read(first)}
            if not self._is_entry(seq, digest):
                log.warning("the checkpoint of entry %d is ignored: the journal has another entry now", seq)
                continue
            checkpoint = self._checkpoints.find(seq, digest)
            if checkpoint is not None and self._is_entry(seq, checkpoint.sha256):
                past = self._checkpoints.past(checkpoint, entries[seq], self)
                recent = tuple(entries[each] for each in numbers[1:_BATCH])
                return self._grown(History(recent, past), numbers[_BATCH:])
        return None

    def _is_entry(self, seq: int, digest: str) -> bool:
        """Whether an entry that was read has this SHA-256, or one that begins so."""
        return self._digests[seq].startswith(digest)

    def _from_entries(self, *, until: int | None = None) -> History:
        numbers = self._entries.numbers() if until is None else range(1, until + 1)
        return self._grown(History((), beginning(self)), numbers)

    def _with_new(self, known: History) -> History:
        new = self._read(self._entries.numbers(after=known.seq))
        return History((*known.recent, *new), known.past) if new else known

    def _grown(self, history: History, numbers: Sequence[int]) -> History:
        """The history with more entries. If they are many, the newest are kept, and what is known of the others."""
        if len(numbers) > _BATCH:
            log.info("reading %d journal entries, because no checkpoint stands for them yet", len(numbers))
        for first in range(0, len(numbers), _BATCH):
            entries = self._read(numbers[first : first + _BATCH])
            history = History((*history.recent, *entries), history.past)
            if len(history.recent) > _BATCH:
                history = self._folded(history, self._boundary(history.seq))
        return history

    def _folded(self, history: History, seq: int) -> History:
        """The same history with a past up to entry `seq`."""
        count = max(0, seq - history.past.seq)
        old, recent = history.recent[:count], history.recent[count:]
        return History(recent, folded(history.past, [(entry, self._digests[entry.seq]) for entry in old]))

    def _boundary(self, seq: int) -> int:
        """The entry of which there should be a checkpoint if `seq` is the last one; not positive for none."""
        return (seq // self._every - 1) * self._every

    def _read(self, numbers: Sequence[int]) -> list[Entry]:
        found = self._entries.read(numbers)
        self._digests.update((entry.seq, digest) for entry, digest in found)
        return [entry for entry, _ in found]


class JournalWriter(Journal):
    """A journal that one actor writes, for one run. The observers are scheduled for each entry."""

    def __init__(
        self,
        bucket: Bucket,
        model: str,
        *,
        run_key: str,
        actor: str,
        clock: Clock,
        observers: Observers | None = None,
        every: int = EVERY,
    ) -> None:
        super().__init__(bucket, model, every=every)
        self._run_key = run_key
        self._actor = actor
        self._clock = clock
        self._observers = observers or Observers(())
        self._has_written = False

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
                self._known = History((*history.recent, entry), history.past)
                return self._known

    def write_checkpoint(self) -> None:
        """Store a checkpoint if the last one is far behind, or was damaged; only after an entry was written.

        Never raises: without it, reading takes longer.
        """
        history = self.known
        seq = self._boundary(history.seq)
        if not self._has_written or (seq <= self._checkpointed and not history.past.is_repaired):
            return
        try:
            past = self._folded(history, seq).past
            self._checkpoints.store(past, self._digests[past.seq])
        # The verb is done, so whatever is wrong with what is derived must not change its outcome.
        except (StorageError, OSError, ValueError, LookupError, TypeError) as error:
            log.warning("no checkpoint was written, so reading takes longer: %s: %s", type(error).__name__, error)
        else:
            self._checkpointed, history.past.is_repaired = past.seq, False
            log.debug("wrote the checkpoint of entry %d", past.seq)

    def _append(self, entry: Entry) -> bool:
        content = entry.model_dump_json(indent=1).encode()
        try:
            created = self._bucket.create(layout.entry(self._model, entry.seq), content)
        except StorageError as error:
            which = f"journal entry {entry.seq} ({entry.description})"
            raise StorageError(f"whether {which} was written is not known: {error}") from error
        if created:
            self._digests[entry.seq] = digest_of(content)
            self._has_written = True
        return created

    def _entry(self, history: History, change: Change) -> Entry:
        # A clock that is slow, or was set back, must not date an entry before the one it follows.
        earliest = [history.last.at] if history.last else []
        return Entry(
            seq=history.seq + 1,
            at=max([self._clock.now(), *earliest]),
            run_key=self._run_key,
            actor=self._actor,
            **vars(change),
        )
