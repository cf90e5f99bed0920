"""What a checkpoint knows about a version, a run or the whole journal: entry numbers by event, never texts of entries.

Each is derived from entries, one after the other, and stored as JSON. Pure.
"""

from collections.abc import Iterable
from copy import copy
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline.journal.entries import NO_VERSION, Entry, Event


class Mark(NamedTuple):
    """An entry that is known but not read: its number and its event."""

    seq: int
    event: Event


class VersionFacts(BaseModel):
    """What the entries about one version say.

    Attributes:
        entries: the numbers of all entries about it, ascending, by their event. Of `NO_VERSION`, which every freeze is
            about, the newest of each event only.
        digest: the content of its model, from its claim.
        twins: the other versions that were claimed with the same content.
        copy_of: of a reissued version, the version whose model it has.
        copies: the numbers that it was reissued under.
    """

    model_config = ConfigDict(extra="forbid")

    entries: dict[Event, list[int]] = Field(default_factory=dict)
    digest: str | None = None
    twins: list[int] = Field(default_factory=list)
    copy_of: int | None = None
    copies: list[int] = Field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Learn from the next entry about this version."""
        known = self.entries.setdefault(entry.event, [])
        if entry.version == NO_VERSION:
            known.clear()
        known.append(entry.seq)
        if entry.event is Event.CLAIMED:
            self.digest = entry.digest
        if entry.copy_of is not None:
            self.copy_of = entry.copy_of

    def newest(self, events: Iterable[Event]) -> Mark | None:
        """The newest entry about it with one of these events."""
        marks = [Mark(self.entries[event][-1], event) for event in events if event in self.entries]
        return max(marks, default=None)

    def first(self, event: Event) -> int | None:
        """The number of the first entry about it with this event."""
        return self.entries[event][0] if event in self.entries else None


class RunFacts(BaseModel):
    """What the entries of one run say.

    Attributes:
        newest: the number of its newest entry with each event.
        version: the number that it has claimed last.
    """

    model_config = ConfigDict(extra="forbid")

    newest: dict[Event, int] = Field(default_factory=dict)
    version: int | None = None

    def add(self, entry: Entry) -> None:
        """Learn from the next entry of this run."""
        self.newest[entry.event] = entry.seq
        if entry.event is Event.CLAIMED:
            self.version = entry.version

    def mark(self, events: Iterable[Event]) -> Mark | None:
        """The newest entry of the run with one of these events."""
        return max((Mark(self.newest[event], event) for event in events if event in self.newest), default=None)


class Move(NamedTuple):
    """An entry that has changed the serving version: its number, and the version that serves since (None: none)."""

    seq: int
    serving: int | None


class Promotion(NamedTuple):
    """A version, and the number of the entry that promoted it first."""

    seq: int
    version: int


class JournalFacts(BaseModel):
    """What the entries say as a whole. It grows with the versions that have files, and not with the history.

    Attributes:
        newest: the number of the newest entry with each event.
        held_since: the number of the entry since which `State.held_until` has its value; 0 for the beginning.
        promoted: the promoted versions that were not retired, in the order of their first promotion.
        served: the numbers that have served and were not retired, the one that served last at the end.
        unretired: the numbers that were claimed or reissued, and not retired, ascending.
        unpublished: the numbers that were claimed, and neither published nor retired, ascending.
        highest_promoted: the highest version that was ever promoted; 0 for none.
        moves: how many entries have changed the serving version.
    """

    model_config = ConfigDict(extra="forbid")

    newest: dict[Event, int] = Field(default_factory=dict)
    held_since: int = 0
    promoted: list[Promotion] = Field(default_factory=list)
    served: list[int] = Field(default_factory=list)
    unretired: list[int] = Field(default_factory=list)
    unpublished: list[int] = Field(default_factory=list)
    highest_promoted: int = 0
    moves: int = 0

    def copied(self) -> "JournalFacts":
        """The same, to be changed apart from this one. A deep copy of thousands of versions takes ten times as long."""
        return self.model_copy(update={name: copy(value) for name, value in self})
