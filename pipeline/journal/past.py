"""What is known about all entries up to one of them, without reading them: the content of a checkpoint."""

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import StorageError
from pipeline.journal.entries import Entry, Event
from pipeline.journal.facts import JournalFacts, Mark, Move, RunFacts, VersionFacts
from pipeline.journal.pages import MOVES, DamagedPageError, Pages, content_page, move_page, run_page, version_page

if TYPE_CHECKING:
    from pipeline.journal.history import History

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the entries are that are not at hand."""

    def entries(self, numbers: Sequence[int]) -> Sequence[Entry]:
        """The entries with these numbers, in their order, read at once.

        Raises:
            StorageError: one of them is missing, or is not an entry.
        """

    def until(self, seq: int) -> "History":
        """The history up to and including entry `seq`, which is before the newest checkpoint."""

    def rebuilt(self, seq: int) -> "Past":
        """The past up to and including entry `seq`, from the entries alone."""


class Past:
    """Facts about the entries up to and including entry `seq`. They never change.

    Attributes:
        seq: the number of its last entry; 0 for none.
        chain: the SHA-256 over the digests of all its entries, see `pipeline.journal.folding.linked`.
        last: its last entry; None if there is none.
        facts: about the journal as a whole.
        is_stored: whether it was read from a checkpoint.
        is_repaired: whether a page of that checkpoint was damaged, and is to be stored again.
    """

    def __init__(
        self,
        *,
        seq: int,
        chain: str,
        last: Entry | None,
        facts: JournalFacts,
        pages: Pages,
        source: Source,
        is_stored: bool = False,
    ) -> None:
        self.is_stored = is_stored
        self.is_repaired = False
        self.seq = seq
        self.chain = chain
        self.last = last
        self.facts = facts
        self.source = source
        self._pages = pages
        # Entries never change, so each is read once.
        self._entries: dict[int, Entry] = {last.seq: last} if last else {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Past) and (self.seq, self.chain) == (other.seq, other.chain)

    def __hash__(self) -> int:
        return hash((self.seq, self.chain))

    @property
    def pages(self) -> Pages:
        """The pages as they are stored, or are to be stored."""
        return self._pages

    def version(self, number: int) -> VersionFacts:
        """What is known about a version."""
        return VersionFacts.model_validate(self.page(version_page(number)).get(str(number), {}))

    def run(self, run_key: str) -> RunFacts:
        """What is known about a run."""
        return RunFacts.model_validate(self.page(run_page(run_key)).get(run_key, {}))

    def claimed_with(self, digest: str) -> list[int]:
        """The versions that were claimed with this content, ascending."""
        return list(self.page(content_page(digest)).get(digest, []))

    def moves(self, *, before: int | None = None) -> Iterator[Move]:
        """The entries that have changed the serving version, of those before an entry or of all; the newest first."""
        count = self.facts.moves if before is None else self._moves_before(before)
        return (self._move(number) for number in reversed(range(count)))

    def move_after(self, seq: int) -> Move | None:
        """The first entry after one that has changed the serving version; None if the past has none."""
        number = self._moves_before(seq + 1)
        return self._move(number) if number < self.facts.moves else None

    def _moves_before(self, seq: int) -> int:
        """How many moves there were before an entry. The newest pages are read first: most questions are about them."""
        count, step = self.facts.moves, 1
        while step <= count and self._move(count - step).seq >= seq:
            step *= 2
        low, high = max(0, count - step), count - step // 2
        return bisect_left(range(count), seq, lo=low, hi=high, key=lambda number: self._move(number).seq)

    def _move(self, number: int) -> Move:
        seq, serving = self.page(move_page(number))[str(number % MOVES)]
        return Move(seq, serving)

    def mark(self, events: Sequence[Event]) -> Mark | None:
        """The newest entry with one of these events."""
        newest = self.facts.newest
        return max((Mark(newest[event], event) for event in events if event in newest), default=None)

    def entry(self, seq: int) -> Entry:
        """One entry, read from the bucket if it was not read before.

        Raises:
            StorageError: it is missing, or is not an entry.
        """
        if seq not in self._entries:
            self._entries[seq] = self.source.entries([seq])[0]
        return self._entries[seq]

    def entries_with(self, numbers: Sequence[int]) -> list[Entry]:
        """The entries with these numbers, in their order, read at once. They are not kept: there may be many.

        Raises:
            StorageError: one of them is missing, or is not an entry.
        """
        unread = sorted(set(numbers) - set(self._entries))
        read = {each.seq: each for each in (self.source.entries(unread) if unread else ())}
        return [read[seq] if seq in read else self._entries[seq] for seq in numbers]

    def page(self, name: str) -> dict[str, Any]:
        """A page. If it is damaged, all pages are made anew from the entries."""
        try:
            return self._pages.get(name)
        except DamagedPageError as error:
            log.warning("a checkpoint of the journal is ignored, and all entries are read: %s", error)
            self._pages = self.source.rebuilt(self.seq).pages
            self.is_repaired = True
            return self._pages.get(name)


def beginning(source: Source) -> Past:
    """The past before the first entry."""

    def nothing(name: str, digest: str) -> bytes:
        raise DamagedPageError(f"there is no page {name} with the digest {digest}")

    return Past(seq=0, chain="", last=None, facts=JournalFacts(), pages=Pages({}, nothing), source=source)


class _NoSource:
    """The source of a journal whose entries are all at hand."""

    def entries(self, numbers: Sequence[int]) -> Sequence[Entry]:
        raise StorageError(f"the entries {numbers} are not at hand")

    def until(self, seq: int) -> "History":
        raise StorageError(f"the history until {seq} is not at hand")

    def rebuilt(self, seq: int) -> "Past":
        raise StorageError(f"the facts until {seq} are not at hand")


NO_PAST = beginning(_NoSource())
