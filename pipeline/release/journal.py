"""The one truth: an append-only list of events, each with the state after it.

Creating entry `seq+1` is the compare-and-swap, the claim of a version number, the audit and the history in one: who
loses the race reads the new state and decides again. Nothing here touches a server; see `pipeline.release.rollout`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import layout
from pipeline.clock import Clock
from pipeline.errors import StorageError
from pipeline.release.state import State
from pipeline.storage.bucket import Bucket
from pipeline.validation import problems
from pipeline.verdicts.verdict import Verdict


class Event(StrEnum):
    """What an entry says of its version.

    `confirmed`: every replica answers from it. `declined`: its run gave it up because the world had moved on.
    `released`: it was let out of memory by a roll-back, and nothing is said against it.
    """

    CLAIMED = "claimed"
    PUBLISHED = "published"
    EXPOSED = "exposed"
    PROMOTED = "promoted"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    ROLLED_BACK = "rolled back"
    RELEASED = "released"


GIVEN_TRAFFIC = (Event.PROMOTED, Event.ROLLED_BACK)
TAKEN_BACK = (Event.WITHDRAWN, Event.DECLINED)


@dataclass(frozen=True)
class Change:
    """What a writer wants the next entry to say. `version` is the one the event is about."""

    event: Event
    version: int
    reason: str
    state: State
    verdict: Verdict | None = None
    manifest: str | None = None


class Entry(BaseModel):
    """One line of the history. `state` is the state after the event.

    `manifest` is the SHA-256 of the version's manifest, from the moment its files are complete.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    at: datetime
    event: Event
    version: int
    run_key: str
    actor: str
    reason: str
    verdict: Verdict | None = None
    manifest: str | None = None
    state: State


@dataclass(frozen=True)
class History:
    """The journal as it was read. Questions about the past are asked here."""

    entries: tuple[Entry, ...]

    @property
    def state(self) -> State:
        return self.entries[-1].state if self.entries else State()

    @property
    def seq(self) -> int:
        return self.entries[-1].seq if self.entries else 0

    def of_run(self, run_key: str, *events: Event) -> Entry | None:
        """The newest entry of a run, of the given kinds."""
        return next((e for e in reversed(self.entries) if e.run_key == run_key and e.event in events), None)

    def of_version(self, version: int, *events: Event) -> Entry | None:
        """The newest entry about a version, of the given kinds."""
        return next((e for e in reversed(self.entries) if e.version == version and e.event in events), None)

    def is_confirmed(self, version: int) -> bool:
        """Whether every replica was seen to answer from a version since it was last made to serve."""
        last = self.of_version(version, Event.CONFIRMED, *GIVEN_TRAFFIC)
        return last is not None and last.event is Event.CONFIRMED

    def version_of(self, run_key: str) -> int | None:
        """The version number a run has claimed."""
        entry = self.of_run(run_key, Event.CLAIMED)
        return entry.version if entry else None

    def withdrawal(self, version: int) -> Entry | None:
        """The entry that took a version back, unless a person has brought it back to serve since."""
        last = self.of_version(version, *TAKEN_BACK, *GIVEN_TRAFFIC)
        return last if last and last.event in TAKEN_BACK else None

    def was_good(self, version: int) -> bool:
        """Whether a version has served and has not been taken back since."""
        served = self.of_version(version, Event.PROMOTED) is not None
        return served and self.withdrawal(version) is None and version != self.state.leaving

    def good_before(self, version: int | None) -> int | None:
        """The last good version promoted before `version` first was: what it would fall back to."""
        return next(iter(self.all_good_before(version)), None)

    def all_good_before(self, version: int | None) -> list[int]:
        """Every good version promoted before `version` first was, the last of them first."""
        return [v for v in reversed(self._promoted_before(version)) if self.was_good(v)]

    def is_older(self, version: int, than: int) -> bool:
        """Whether a version was first promoted before another."""
        return version in self._promoted_before(than)

    def _promoted_before(self, version: int | None) -> list[int]:
        order = list(dict.fromkeys(e.version for e in self.entries if e.event is Event.PROMOTED))
        return order[: order.index(version)] if version in order else order

    def seq_at(self, moment: datetime) -> int:
        """The number of the last entry of a moment."""
        return sum(entry.at <= moment for entry in self.entries)

    def until(self, seq: int) -> "History":
        """The history as it was when entry `seq` was the last."""
        return History(self.entries[:seq])


class Journal:
    """The journal of one model, written in the name of one actor and one run."""

    def __init__(self, bucket: Bucket, model: str, *, run_key: str, actor: str, clock: Clock) -> None:
        self._bucket = bucket
        self._model = model
        self._run_key = run_key
        self._actor = actor
        self._clock = clock
        self._known = History(())

    def read(self) -> History:
        """All entries.

        Raises:
            StorageError: an entry is missing in the middle or is none: nothing may be decided on half a history.
        """
        names = self._bucket.names(layout.journal(self._model))
        sequences = {seq for name in names if (seq := layout.entry_sequence(name)) is not None}
        missing = sorted(set(range(1, max(sequences, default=0) + 1)) - sequences)
        if missing:
            raise StorageError(f"the journal of {self._model} has no entry {missing}; restore what is missing")
        # An entry never changes, so what was read before is not read again.
        new = [seq for seq in sorted(sequences) if seq > self._known.seq]
        contents = self._bucket.read_all([layout.entry(self._model, seq) for seq in new])
        entries = tuple(
            _parsed(layout.entry(self._model, seq), seq, each) for seq, each in zip(new, contents, strict=True)
        )
        self._known = History((*self._known.entries, *entries))
        return self._known

    def decide(self, rule: Callable[[History], Change | None]) -> History:
        """Append what `rule` makes of the history; when another writer was first, ask it again with the new history.

        Args:
            rule: pure; None where there is nothing to write. What it raises ends the decision with nothing written.

        Returns:
            The history that includes the new entry, or the one in which there was nothing to write.
        """
        while True:
            history = self.read()
            change = rule(history)
            if change is None:
                return history
            entry = self._entry(history, change)
            if self._append(entry):
                self._known = History((*history.entries, entry))
                return self._known

    @property
    def known(self) -> History:
        """What was read or written last, for when the bucket does not answer any more."""
        return self._known

    def _append(self, entry: Entry) -> bool:
        content = entry.model_dump_json(indent=1).encode()
        try:
            return self._bucket.create(layout.entry(self._model, entry.seq), content)
        except StorageError as error:
            told = f"journal entry {entry.seq} (v{entry.version} {entry.event})"
            raise StorageError(f"whether {told} was written is not known: {error}") from error

    def _entry(self, history: History, change: Change) -> Entry:
        # A clock that is behind, or was set back, must not date an entry before the one it follows.
        earliest = [entry.at for entry in history.entries[-1:]]
        return Entry(
            seq=history.seq + 1,
            at=max([self._clock.now(), *earliest]),
            event=change.event,
            version=change.version,
            run_key=self._run_key,
            actor=self._actor,
            reason=change.reason,
            verdict=change.verdict,
            manifest=change.manifest,
            state=change.state,
        )


def _parsed(key: str, seq: int, content: bytes) -> Entry:
    try:
        entry = Entry.model_validate_json(content)
    except ValidationError as error:
        raise StorageError(f"{key} is no journal entry: {problems(error)}; restore it as it was written") from error
    if entry.seq != seq:
        raise StorageError(f"{key} holds entry {entry.seq}; restore both as they were written")
    return entry
