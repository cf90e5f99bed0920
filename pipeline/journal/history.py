"""The journal as it was read, and questions about it: by run, by version, by model, and at an earlier moment."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain

from pipeline.journal.entries import GIVEN_TRAFFIC, TAKEN_BACK, Change, Entry, Event
from pipeline.journal.facts import KnownRun, Mark, Move, Promotion
from pipeline.journal.past import NO_PAST, Past
from pipeline.journal.state import State

# Entries that are read at once by whoever goes back through the history: few at first, because most soon stop.
_FIRST_BATCH, _BATCH = 8, 64


@dataclass(frozen=True)
class History:
    """The journal as it was read.

    A version is a number; a model is what was trained. A model has several numbers if it was reissued.

    The newest entries are at hand. Earlier ones are read when a question needs them: a question that the facts of the
    past answer reads a page of those, and one that returns an entry reads that entry too. Such a read may raise
    StorageError.

    Attributes:
        recent: the newest entries, the oldest of them first.
        past: what is known about those before them; by default there are none.
    """

    recent: tuple[Entry, ...]
    past: Past = NO_PAST

    @property
    def state(self) -> State:
        """The state after the last entry."""
        return self.last.state if self.last else State()

    @property
    def seq(self) -> int:
        """The number of the last entry; 0 if there is none."""
        return self.last.seq if self.last else 0

    @property
    def last(self) -> Entry | None:
        """The last entry; None if there is none."""
        return self.recent[-1] if self.recent else self.past.last

    # Entries by their number, and by the time.

    def entry(self, seq: int) -> Entry:
        """The entry with a number that the journal has."""
        before = self.past.seq
        return self.recent[seq - before - 1] if seq > before else self.past.entry(seq)

    def entries(self, first: int, last: int) -> list[Entry]:
        """The entries with these numbers, both included, of those that the journal has."""
        first, last, before = max(first, 1), min(last, self.seq), self.past.seq
        early = self.past.source.entries(range(first, min(last, before) + 1)) if first <= min(last, before) else ()
        return [*early, *self.recent[max(0, first - before - 1) : max(0, last - before)]]

    def entries_with(self, numbers: Sequence[int]) -> list[Entry]:
        """The entries with these numbers, in their order. Those that are not at hand are read at once."""
        before = self.past.seq
        early = [seq for seq in numbers if seq <= before]
        found = dict(zip(early, self.past.entries_with(early), strict=True))
        return [found[seq] if seq <= before else self.entry(seq) for seq in numbers]

    def newest_first(self) -> Iterator[Entry]:
        """All entries, the newest first. Those of the past are read in batches, as far as the caller goes."""
        yield from reversed(self.recent)
        last, size = self.past.seq, _FIRST_BATCH
        while last > 0:
            yield from reversed(self.entries(last - size + 1, last))
            last, size = last - size, min(2 * size, _BATCH)

    def after(self, seq: int) -> list[Entry]:
        """The entries after the one with a number."""
        return self.entries(seq + 1, self.seq)

    def all(self) -> list[Entry]:
        """All entries. It reads the whole journal, so no verb calls it: for tests, benches and the demo."""
        return self.entries(1, self.seq)

    def seq_at(self, moment: datetime) -> int:
        """The number of the last entry at a moment; 0 if the first entry is later. Entries are dated in their order.

        It goes back from the last entry in steps that double. So a recent moment costs few reads, however many entries
        are older.
        """
        older, newer, step = self.seq, self.seq + 1, 1
        while older > 0 and self.entry(older).at > moment:
            older, newer, step = older - step, older, 2 * step
        older = max(0, older)
        return older + bisect_right(range(older + 1, newer), moment, key=lambda seq: self.entry(seq).at)

    def first_since(self, moment: datetime) -> int:
        """The number of the first entry at a moment or after it; `seq` + 1 if there is none."""
        return bisect_left(range(1, self.seq + 1), moment, key=lambda seq: self.entry(seq).at) + 1

    def state_at(self, seq: int) -> State:
        """The state after entry `seq`; before the first one if that is 0."""
        return self.entry(seq).state if seq else State()

    def until(self, seq: int) -> "History":
        """The history up to and including entry `seq`."""
        if seq >= self.past.seq:
            return History(self.recent[: seq - self.past.seq], self.past)
        return self.past.source.until(seq)

    # Entries by what they are about.

    def newest(self, *events: Event) -> Entry | None:
        """The newest entry with one of these events."""
        found = _newest(self.recent, events)
        return found or self._entry(self.past.mark(events))

    def of_run(self, run_key: str, *events: Event) -> Entry | None:
        """The newest entry of a run with one of these events."""
        found = _newest(self._recent_by_run.get(run_key, ()), events)
        return found or self._entry(self.past.run(run_key).mark(events))

    def of_version(self, version: int, *events: Event) -> Entry | None:
        """The newest entry about a version with one of these events."""
        return self._entry(self.mark(version, *events))

    def of_model(self, version: int, *events: Event) -> Entry | None:
        """The newest entry with one of these events about a version's model, under any of its numbers."""
        return self._entry(self.model_mark(version, *events))

    def numbers_about(self, version: int, *events: Event) -> list[int]:
        """The numbers of all entries about a version with one of these events, ascending."""
        recent = [each.seq for each in self._recent_by_version.get(version, ()) if each.event in events]
        known = self.past.version(version).entries
        return [*sorted(seq for event in events for seq in known.get(event, ())), *recent]

    def has(self, version: int, *events: Event) -> bool:
        """Whether there is an entry about a version with one of these events."""
        return self.mark(version, *events) is not None

    def mark(self, version: int, *events: Event) -> Mark | None:
        """The newest entry about a version with one of these events, without reading it."""
        found = _newest(self._recent_by_version.get(version, ()), events)
        return Mark(found.seq, found.event) if found else self.past.version(version).newest(events)

    def model_mark(self, version: int, *events: Event) -> Mark | None:
        """As `of_model`, without reading the entry."""
        return max((mark for number in self.numbers(version) if (mark := self.mark(number, *events))), default=None)

    # Versions, models and runs.

    def original(self, version: int) -> int:
        """The version that was trained and approved: the version itself, unless it was reissued."""
        copied = _newest(self._recent_by_version.get(version, ()), (Event.REISSUED,))
        copy_of = copied.copy_of if copied else self.past.version(version).copy_of
        return copy_of if copy_of is not None else version

    def numbers(self, version: int) -> list[int]:
        """All numbers of a version's model: its original, and those that it was reissued under."""
        original = self.original(version)
        recent = [each.version for each in self.recent if each.copy_of == original]
        return [original, *self.past.version(original).copies, *recent]

    def is_same_model(self, version: int | None, other: int | None) -> bool:
        """Whether both numbers have the same original. None equals only None."""
        if version is None or other is None:
            return version is other
        return version == other or self.original(version) == self.original(other)

    def last_move(self, version: int) -> Entry | None:
        """The newest entry that gives traffic to a version, or confirms that it has it."""
        return self.of_version(version, Event.CONFIRMED, *GIVEN_TRAFFIC)

    def is_confirmed(self, version: int) -> bool:
        """Whether every replica has answered from a version since the last entry that gave it traffic."""
        last = self.mark(version, Event.CONFIRMED, *GIVEN_TRAFFIC)
        return last is not None and last.event is Event.CONFIRMED

    def version_of(self, run_key: str) -> int | None:
        """The version number that a run has claimed; None if it has claimed none."""
        claimed = _newest(self._recent_by_run.get(run_key, ()), (Event.CLAIMED,))
        return claimed.version if claimed else self.past.run(run_key).version

    def known_runs(self, run_keys: Collection[str]) -> dict[str, KnownRun]:
        """What the journal knows about each of these runs, without reading an entry."""
        known = {
            key: KnownRun(max(facts.newest.values(), default=0), facts.version)
            for key, facts in self.past.runs(run_keys)
        }
        for key, entries in self._recent_by_run.items():
            if key in known:
                known[key] = KnownRun(entries[-1].seq, self.version_of(key))
        return known

    def claimed_with(self, digest: str) -> list[int]:
        """The versions that were claimed with this content, ascending."""
        recent = [each.version for each in self.recent if each.event is Event.CLAIMED and each.digest == digest]
        return [*self.past.claimed_with(digest), *recent]

    def digest(self, version: int) -> str | None:
        """The content that a version was claimed with; None if it has no claim, or one without a digest."""
        claimed = _newest(self._recent_by_version.get(version, ()), (Event.CLAIMED,))
        return claimed.digest if claimed else self.past.version(version).digest

    def withdrawal(self, version: int) -> Entry | None:
        """The entry that withdrew or declined a version's model; None if a later entry gave it traffic again."""
        return self._entry(self.withdrawal_mark(version))

    def withdrawal_mark(self, version: int) -> Mark | None:
        """As `withdrawal`, without reading the entry."""
        last = self.model_mark(version, *TAKEN_BACK, *GIVEN_TRAFFIC)
        return last if last and last.event in TAKEN_BACK else None

    def retirement(self, version: int) -> Entry | None:
        """The entry that retired a version's model. It is final: the files are deleted."""
        return self.of_version(self.original(version), Event.RETIRED)

    def is_retired(self, version: int) -> bool:
        """Whether an entry has retired a version's model."""
        return self.has(self.original(version), Event.RETIRED)

    def has_served(self, version: int) -> bool:
        """Whether a version was ever given traffic under this very number."""
        return self.has(version, Event.PROMOTED, Event.REISSUED)

    def was_good(self, version: int) -> bool:
        """Whether a version's model has served, was not taken back afterwards, and still has its files."""
        last = self.model_mark(version, *TAKEN_BACK, *GIVEN_TRAFFIC)
        taken_back = last is not None and last.event in TAKEN_BACK
        if taken_back or self.is_same_model(version, self.state.leaving):
            return False
        return self.has(self.original(version), Event.PROMOTED) and not self.is_retired(version)

    def unretired(self) -> list[int]:
        """Every number that was claimed or reissued, and whose model was not retired; ascending."""
        new = [each.version for each in self.recent if each.event in (Event.CLAIMED, Event.REISSUED)]
        return [version for version in (*self.past.facts.unretired, *new) if version not in self._recently_retired]

    def unpublished(self) -> list[int]:
        """Every number that was claimed, and neither published nor retired; ascending."""
        new = [each.version for each in self.recent if each.event is Event.CLAIMED]
        ended = {
            version for each in self.recent if each.event in (Event.PUBLISHED, Event.RETIRED) for version in each.about
        }
        return [version for version in (*self.past.facts.unpublished, *new) if version not in ended]

    def promoted(self) -> list[int]:
        """The promoted versions whose model was not retired, in the order of their first promotion."""
        return [each.version for each in self._promoted]

    @property
    def highest_promoted(self) -> int:
        """The highest version that was ever promoted; 0 for none."""
        recent = [each.version for each in self.recent if each.event is Event.PROMOTED]
        return max([self.past.facts.highest_promoted, *recent])

    # The order in which versions have served.

    def moves(self, *, before: int | None = None) -> Iterator[Move]:
        """The entries that have changed the serving version, to another one or to none; the newest first.

        Args:
            before: only those before the entry with this number; None for all.
        """
        recent = (move for move in reversed(self._recent_moves) if before is None or move.seq < before)
        early = before if before is not None and before <= self.past.seq else None
        return chain(recent, self.past.moves(before=early))

    def move_after(self, seq: int) -> Move | None:
        """The first entry after one that has changed the serving version; None if there is none yet."""
        early = self.past.move_after(seq) if seq < self.past.seq else None
        return early or next((move for move in self._recent_moves if move.seq > seq), None)

    def served(self) -> Iterator[int]:
        """The numbers that have served and are not retired, each once, the one that served last first."""
        recent = [move.serving for move in reversed(self._recent_moves)]
        served = dict.fromkeys(number for number in (*recent, *reversed(self.past.facts.served)) if number is not None)
        return (number for number in served if number not in self._recently_retired)

    def hold_began(self) -> Entry | None:
        """The entry since which the hold of roll-backs is what it is; None if there was never one."""
        before = [self.past.last, *self.recent]
        for earlier, entry in zip(reversed(before[:-1]), reversed(self.recent), strict=True):
            if entry.state.held_until != (earlier.state.held_until if earlier else None):
                return entry
        since = self.past.facts.held_since
        return self.past.entry(since) if since else None

    def rollback_candidates(self, version: int | None) -> Iterator[int]:
        """Every good version of another model that has served, the one that served last first.

        Each model comes once, under the number that it served with last. Versions with the same content, which a
        repeated training may produce, are one model. If it was withdrawn under any of its numbers, it is left out.
        """
        seen = {self._content(version)} if version is not None else set()
        for number in self.served():
            content = self._content(number)
            if content not in seen and self.was_good(number) and not self._content_is_withdrawn(number):
                seen.add(content)
                yield number

    def previous_after(self, target: int) -> int | None:
        """What `previous` means after a roll-back to `target`: the good version that served last before it, or None.

        That may be the serving version, unless it is newer than the target: such a version is withdrawn by the
        roll-back.
        """
        serving = self.state.serving
        newer = serving is not None and not self.is_older(serving, target)
        withdrawn = self._content(serving) if serving is not None and newer else None
        return next((v for v in self.rollback_candidates(target) if self._content(v) != withdrawn), None)

    def all_good_before(self, version: int | None) -> Iterator[int]:
        """Every good version that was promoted before `version` first was, the last one first."""
        first = self._first_promotion(version)
        before = [each.version for each in self._promoted if first is None or each.seq < first]
        return (each for each in reversed(before) if self.was_good(each))

    def all_good_after(self, version: int | None) -> Iterator[int]:
        """Every good version that was first promoted after `version` was, the last one first."""
        first = self._first_promotion(version)
        after = [each.version for each in self._promoted if first is not None and each.seq > first]
        return (each for each in reversed(after) if self.was_good(each))

    def is_older(self, version: int, than: int) -> bool:
        """Whether a version was first promoted before another one, or the other one never was."""
        first, other = self._first_promotion(version), self._first_promotion(than)
        return first is not None and (other is None or first < other)

    def _content(self, version: int) -> str:
        """What identifies the content of a model: the digest of its claim, or its number if the claim has none."""
        original = self.original(version)
        return self.digest(original) or f"v{original}"

    def _content_is_withdrawn(self, version: int) -> bool:
        """Whether the newest decision about a content, under any number, withdraws it, or a roll-back replaces it."""
        same = self._same_content(self.original(version))
        words = [self.model_mark(each, Event.WITHDRAWN, Event.READMITTED, *GIVEN_TRAFFIC) for each in same]
        last = max((word for word in words if word), default=None)
        leaves = any(self.is_same_model(each, self.state.leaving) for each in same)
        return leaves or (last is not None and last.event is Event.WITHDRAWN)

    def _same_content(self, original: int) -> list[int]:
        """The claimed versions with the content of a claimed version, and that version."""
        digest = self.digest(original)
        recent = [each.version for each in self.recent if each.event is Event.CLAIMED and digest == each.digest]
        if digest is None:
            return [original] if self.has(original, Event.CLAIMED) else []
        if original in recent:
            return [*self.past.claimed_with(digest), *recent]
        return [original, *self.past.version(original).twins, *recent]

    def _first_promotion(self, version: int | None) -> int | None:
        """The number of the entry that promoted a version's model first."""
        if version is None:
            return None
        original = self.original(version)
        first = self.past.version(original).first(Event.PROMOTED)
        recent = self._recent_by_version.get(original, ())
        return first or next((each.seq for each in recent if each.event is Event.PROMOTED), None)

    @cached_property
    def _recent_moves(self) -> list[Move]:
        """The newest moves, those of the entries at hand; the oldest of them first."""
        states = [each.state.serving if each else None for each in (self.past.last, *self.recent)]
        pairs = zip(states, self.recent, strict=False)
        return [Move(entry.seq, entry.state.serving) for before, entry in pairs if entry.state.serving != before]

    @cached_property
    def _promoted(self) -> list[Promotion]:
        new = dict[int, Promotion]()
        for each in self.recent:
            if each.event is Event.PROMOTED and self._first_promotion(each.version) == each.seq:
                new[each.version] = Promotion(each.seq, each.version)
        known = [*self.past.facts.promoted, *new.values()]
        return [each for each in known if each.version not in self._recently_retired]

    @cached_property
    def _recently_retired(self) -> frozenset[int]:
        """All numbers of the models that were retired after the past."""
        gone = [version for each in self.recent if each.event is Event.RETIRED for version in each.about]
        # There may be thousands of them, and each page of facts should be loaded once.
        originals = (version for version in gone if self.original(version) == version)
        return frozenset(number for version in originals for number in self.numbers(version))

    def _entry(self, mark: Mark | None) -> Entry | None:
        return self.entry(mark.seq) if mark else None

    @cached_property
    def _recent_by_version(self) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = {}
        for entry in self.recent:
            for version in entry.about:
                found.setdefault(version, []).append(entry)
        return found

    @cached_property
    def _recent_by_run(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.recent:
            found.setdefault(entry.run_key, []).append(entry)
        return found


# What may be written next: a change, or None if nothing is left to write. It raises an error if it may not.
Rule = Callable[[History], Change | None]


def _newest(entries: Sequence[Entry], events: Sequence[Event]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.event in events), None)
