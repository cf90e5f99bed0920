"""A past with more entries: what a checkpoint of entry n knows, from one of an earlier entry and the entries between.

The result does not depend on where it began: folding all entries gives the same bytes as folding the last few onto an
earlier checkpoint.
"""

import hashlib
from collections.abc import Container, Iterable, Sequence

from pipeline.journal.entries import Entry, Event
from pipeline.journal.facts import JournalFacts, Move, Promotion, RunFacts, VersionFacts
from pipeline.journal.pages import MOVES, Pages, content_page, move_page, run_page, version_page
from pipeline.journal.past import Past
from pipeline.journal.state import State

# An entry, and the SHA-256 of its bytes in hexadecimal.
Summed = tuple[Entry, str]


def linked(chain: str, digest: str) -> str:
    """The next link: the SHA-256 of the chain so far, which is empty at first, and of the digest of the next entry."""
    return hashlib.sha256(f"{chain}{digest}".encode()).hexdigest()


def folded(past: Past, entries: Sequence[Summed]) -> Past:
    """The past that includes the entries that follow it, each with the SHA-256 of its bytes.

    Raises:
        StorageError: a page or an entry that is needed cannot be read.
    """
    if not entries:
        return past
    fold = _Fold(past)
    chain = past.chain
    for entry, digest in entries:
        fold.add(entry)
        chain = linked(chain, digest)
    last = entries[-1][0]
    return Past(seq=last.seq, chain=chain, last=last, facts=fold.facts, pages=fold.changed_pages(), source=past.source)


class _Fold:
    def __init__(self, past: Past) -> None:
        self._past = past
        self._state = past.last.state if past.last else State()
        self.facts: JournalFacts = past.facts.copied()
        self._versions: dict[int, VersionFacts] = {}
        self._runs: dict[str, RunFacts] = {}
        self._contents: dict[str, list[int]] = {}
        self._moves: list[Move] = []

    def add(self, entry: Entry) -> None:
        facts, before = self.facts, self._state
        self._claims(entry)
        for version in entry.about:
            self._version(version).add(entry)
        self._run(entry.run_key).add(entry)
        facts.newest[entry.event] = entry.seq
        if entry.state.held_until != before.held_until:
            facts.held_since = entry.seq
        if entry.state.serving != before.serving:
            self._moves_traffic(entry)
        self._state = entry.state

    def _claims(self, entry: Entry) -> None:
        """What an entry says about which versions there are. Called before the facts of the version have the entry."""
        facts, version = self.facts, entry.version
        if entry.event is Event.PROMOTED:
            if self._version(version).first(Event.PROMOTED) is None:
                facts.promoted.append(Promotion(entry.seq, version))
            facts.highest_promoted = max(facts.highest_promoted, version)
        if entry.event in (Event.CLAIMED, Event.REISSUED):
            facts.unretired.append(version)
        if entry.event is Event.CLAIMED:
            facts.unpublished.append(version)
            self._finds_twins(version, entry.digest)
        if entry.event is Event.PUBLISHED:
            facts.unpublished = _without(facts.unpublished, (version,))
        if entry.event is Event.RETIRED:
            self._retires(entry.about)
        if entry.copy_of is not None:
            self._version(entry.copy_of).copies.append(version)

    def _retires(self, versions: tuple[int, ...]) -> None:
        """A model is retired if its original number is; its other numbers go with that one."""
        facts, known = self.facts, {version: self._version(version) for version in versions}
        originals = {version: each for version, each in known.items() if each.copy_of is None}
        gone = {*originals, *(number for each in originals.values() for number in each.copies)}
        facts.unretired = _without(facts.unretired, gone)
        facts.unpublished = _without(facts.unpublished, gone)
        facts.served = _without(facts.served, gone)
        facts.promoted = [each for each in facts.promoted if each.version not in gone]

    def _finds_twins(self, version: int, digest: str | None) -> None:
        if digest is None:
            return
        same = self._content(digest)
        for other in same:
            self._version(other).twins.append(version)
        self._version(version).twins = list(same)
        same.append(version)

    def _moves_traffic(self, entry: Entry) -> None:
        self.facts.moves += 1
        self._moves.append(Move(entry.seq, entry.state.serving))
        serving = entry.state.serving
        if serving is not None:
            self.facts.served = [*_without(self.facts.served, (serving,)), serving]

    def _version(self, number: int) -> VersionFacts:
        if number not in self._versions:
            self._versions[number] = self._past.version(number).model_copy(deep=True)
        return self._versions[number]

    def _run(self, run_key: str) -> RunFacts:
        if run_key not in self._runs:
            self._runs[run_key] = self._past.run(run_key)
        return self._runs[run_key]

    def _content(self, digest: str) -> list[int]:
        if digest not in self._contents:
            self._contents[digest] = self._past.claimed_with(digest)
        return self._contents[digest]

    def changed_pages(self) -> Pages:
        first = self._past.facts.moves
        changed: list[tuple[str, str, object]] = [
            *((version_page(each), str(each), _json(facts)) for each, facts in self._versions.items()),
            *((run_page(key), key, _json(facts)) for key, facts in self._runs.items()),
            *((content_page(digest), digest, same) for digest, same in self._contents.items()),
            *((move_page(n), str(n % MOVES), list(move)) for n, move in enumerate(self._moves, start=first)),
        ]
        new: dict[str, dict[str, object]] = {}
        for name, key, value in changed:
            new.setdefault(name, {})[key] = value
        # One that is damaged is repaired there, so the others are copied afterwards.
        made = {name: self._past.page(name) | values for name, values in new.items()}
        pages = self._past.pages.copy()
        for name, page in made.items():
            pages.put(name, page)
        return pages


def _json(facts: VersionFacts | RunFacts) -> object:
    return {name: value for name, value in facts.model_dump(mode="json").items() if value not in (None, {}, [])}


def _without(numbers: Iterable[int], gone: Container[int]) -> list[int]:
    return [number for number in numbers if number not in gone]
