"""The journal as it was read, and questions about it: by run, by version, by model, and at an earlier moment. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby

from pipeline.journal.entries import GIVEN_TRAFFIC, TAKEN_BACK, Change, Entry, Event
from pipeline.journal.state import State


@dataclass(frozen=True)
class History:
    """The journal as it was read.

    A version is a number; a model is what was trained. A model has several numbers if it was reissued.
    """

    entries: tuple[Entry, ...]

    @property
    def state(self) -> State:
        """The state after the last entry."""
        return self.entries[-1].state if self.entries else State()

    @property
    def seq(self) -> int:
        """The number of the last entry; 0 if there is none."""
        return self.entries[-1].seq if self.entries else 0

    def of_run(self, run_key: str, *events: Event) -> Entry | None:
        """The newest entry of a run with one of these events."""
        return _newest(self._by_run.get(run_key, ()), events)

    def of_version(self, version: int, *events: Event) -> Entry | None:
        """The newest entry about a version with one of these events."""
        return _newest(self._by_version.get(version, ()), events)

    def of_model(self, version: int, *events: Event) -> Entry | None:
        """The newest entry with one of these events about a version's model, under any of its numbers."""
        found = [entry for number in self._numbers(version) if (entry := self.of_version(number, *events))]
        return max(found, key=lambda entry: entry.seq, default=None)

    def original(self, version: int) -> int:
        """The version that was trained and approved: the version itself, unless it was reissued."""
        entry = self.of_version(version, Event.REISSUED)
        return entry.copy_of if entry and entry.copy_of is not None else version

    def is_same_model(self, version: int | None, other: int | None) -> bool:
        """Whether both numbers have the same original. None equals only None."""
        if version is None or other is None:
            return version is other
        return self.original(version) == self.original(other)

    def last_move(self, version: int) -> Entry | None:
        """The newest entry that gives traffic to a version, or confirms that it has it."""
        return self.of_version(version, Event.CONFIRMED, *GIVEN_TRAFFIC)

    def is_confirmed(self, version: int) -> bool:
        """Whether every replica has answered from a version since the last entry that gave it traffic."""
        last = self.last_move(version)
        return last is not None and last.event is Event.CONFIRMED

    def version_of(self, run_key: str) -> int | None:
        """The version number that a run has claimed; None if it has claimed none."""
        entry = self.of_run(run_key, Event.CLAIMED)
        return entry.version if entry else None

    def withdrawal(self, version: int) -> Entry | None:
        """The entry that withdrew or declined a version's model; None if a later entry gave it traffic again."""
        last = self.of_model(version, *TAKEN_BACK, *GIVEN_TRAFFIC)
        return last if last and last.event in TAKEN_BACK else None

    def retirement(self, version: int) -> Entry | None:
        """The entry that retired a version's model. It is final: the files are deleted."""
        return self.of_version(self.original(version), Event.RETIRED)

    def has_served(self, version: int) -> bool:
        """Whether a version was ever given traffic under this very number."""
        return self.of_version(version, Event.PROMOTED, Event.REISSUED) is not None

    def was_good(self, version: int) -> bool:
        """Whether a version's model has served, was not taken back afterwards, and still has its files."""
        served = self.of_version(self.original(version), Event.PROMOTED) is not None
        taken_back = self.withdrawal(version) is not None or self.is_same_model(version, self.state.leaving)
        return served and not taken_back and self.retirement(version) is None

    def rollback_candidates(self, version: int | None) -> Iterator[int]:
        """Every good version of another model that has served, the one that served last first.

        Each model comes once, under the number that it served with last. Versions with the same content, which a
        repeated training may produce, are one model. If it was withdrawn under any of its numbers, it is left out.
        """
        seen = {self._content(version)} if version is not None else set()
        for number in self._moves_of_traffic:
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

    def _content(self, version: int) -> str:
        """What identifies the content of a model: the digest of its claim, or its number if the claim has none."""
        claimed = self.of_version(self.original(version), Event.CLAIMED)
        return claimed.digest if claimed and claimed.digest else f"v{self.original(version)}"

    def _content_is_withdrawn(self, version: int) -> bool:
        """Whether the newest decision about a content, under any number, withdraws it, or a roll-back replaces it."""
        same = self._by_content.get(self._content(version), ())
        words = [self.of_model(each, Event.WITHDRAWN, Event.READMITTED, *GIVEN_TRAFFIC) for each in same]
        last = max((word for word in words if word), key=lambda word: word.seq, default=None)
        leaves = any(self.is_same_model(each, self.state.leaving) for each in same)
        return leaves or (last is not None and last.event is Event.WITHDRAWN)

    def all_good_before(self, version: int | None) -> list[int]:
        """Every good version that was promoted before `version` first was, the last one first."""
        return [v for v in reversed(self._promoted_before(version)) if self.was_good(v)]

    def all_good_after(self, version: int | None) -> list[int]:
        """Every good version that was first promoted after `version` was, the last one first."""
        before = {*self._promoted_before(version), *([] if version is None else [self.original(version)])}
        return [v for v in reversed(self._promoted) if v not in before and self.was_good(v)]

    def is_older(self, version: int, than: int) -> bool:
        """Whether a version was first promoted before another one."""
        return self.original(version) in self._promoted_before(than)

    def _promoted_before(self, version: int | None) -> list[int]:
        original = self.original(version) if version is not None else None
        return self._promoted[: self._promoted.index(original)] if original in self._promoted else self._promoted

    @cached_property
    def _moves_of_traffic(self) -> list[int]:
        """The serving versions, one for each change, the newest first."""
        served = [serving for serving, _ in groupby(entry.state.serving for entry in self.entries)]
        return [version for version in reversed(served) if version is not None]

    @cached_property
    def _promoted(self) -> list[int]:
        """The promoted versions in the order of their first promotion."""
        return list(dict.fromkeys(entry.version for entry in self.entries if entry.event is Event.PROMOTED))

    @cached_property
    def _by_content(self) -> dict[str, list[int]]:
        """The claimed versions by the content of their models."""
        found: dict[str, list[int]] = {}
        for entry in self.entries:
            if entry.event is Event.CLAIMED:
                found.setdefault(self._content(entry.version), []).append(entry.version)
        return found

    @cached_property
    def _by_version(self) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = {}
        for entry in self.entries:
            for version in entry.about:
                found.setdefault(version, []).append(entry)
        return found

    @cached_property
    def _by_run(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.run_key, []).append(entry)
        return found

    @cached_property
    def _copies(self) -> dict[int, list[int]]:
        """The numbers that a model was reissued under, by its original number."""
        found: dict[int, list[int]] = {}
        for entry in self.entries:
            if entry.copy_of is not None:
                found.setdefault(entry.copy_of, []).append(entry.version)
        return found

    def _numbers(self, version: int) -> list[int]:
        original = self.original(version)
        return [original, *self._copies.get(original, ())]

    def seq_at(self, moment: datetime) -> int:
        """The number of the last entry at a moment; 0 if the first entry is later."""
        return sum(entry.at <= moment for entry in self.entries)

    def until(self, seq: int) -> "History":
        """The history up to and including entry `seq`."""
        return History(self.entries[:seq])


# What may be written next: a change, or None if nothing is left to write. It raises an error if it may not.
Rule = Callable[[History], Change | None]


def _newest(entries: Sequence[Entry], events: Sequence[Event]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.event in events), None)
