"""A part of a history: so many of the newest periods and decisions, since a moment, before an entry, of one version."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile

from pipeline.errors import BadInputError
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.journal.periods import Period, served

# As many periods and decisions as a person looks through.
SHOWN = 20
# Entries that are read at once where all are asked for.
_BATCH = 256


@dataclass(frozen=True)
class Selection:
    """Which part of a history.

    Attributes:
        last: at most so many periods and so many decisions, the newest of the part; None for all.
        since: decisions from this moment on, and what has served since then.
        before: only entries before the one with this number, and periods that began before it.
        version: only those about this version and the other numbers of its model.
    """

    last: int | None = SHOWN
    since: datetime | None = None
    before: int | None = None
    version: int | None = None

    def command(self, model: str, *, before: int | None = None) -> str:
        """The command that shows the same part, or what comes before an entry of it; with `--last` if it is not 20."""
        last = {"all": ""} if self.last is None else {"last": self.last} if self.last != SHOWN else {}
        since = {"since": self.since.isoformat()} if self.since else {}
        options = {**since, "version": self.version, **last, "before": before or self.before}
        words = [f"--{name} {value}".rstrip() for name, value in options.items() if value is not None]
        return " ".join(["understudy history --model", model, *words])


@dataclass(frozen=True)
class Page:
    """The part of a history that was asked for; periods and entries the newest first.

    Attributes:
        model: the name of the model.
        selection: what was asked for.
        periods: which version served when. If all are asked for, they are read while they are iterated, once.
        entries: the decisions, likewise.
        shown: how many decisions these are.
        older: how many decisions of the same part come before them.
        next: the `before` that shows those; None if there are none.
    """

    model: str
    selection: Selection
    periods: Iterable[Period]
    entries: Iterable[Entry]
    shown: int
    older: int
    next: int | None


def page_of(model: str, history: History, selection: Selection) -> Page:
    """The part of a history. However long that is, only what is shown is read, and a few entries to find a moment.

    Raises:
        BadInputError: the journal does not contain the version.
        StorageError: an entry is missing, or is not an entry.
    """
    versions = _numbers_of(selection.version, model, history)
    numbers = _numbers(history, selection, versions)
    shown = numbers if selection.last is None else numbers[-selection.last :]
    older = len(numbers) - len(shown)
    periods, entries = _periods(history, selection, versions), _entries(history, shown)
    next_before = shown[0] if older else None
    if selection.last is None:
        return Page(model, selection, periods, entries, len(shown), older, next_before)
    # Read before anything is printed.
    return Page(model, selection, list(islice(periods, selection.last)), list(entries), len(shown), older, next_before)


def _numbers_of(version: int | None, model: str, history: History) -> list[int] | None:
    """All numbers of a version's model."""
    if version is None:
        return None
    if not history.has(version, *Event):
        newest = history.state.next_version - 1
        known = f"The newest one is v{newest}" if newest else "It contains no version yet"
        raise BadInputError(f"the journal of {model} does not contain v{version}. {known}. Correct --version")
    return history.numbers(version)


def _numbers(history: History, selection: Selection, versions: Iterable[int] | None) -> Sequence[int]:
    """The numbers of the selected entries, ascending; of all of them, whatever `last` is."""
    first = history.first_since(selection.since) if selection.since else 1
    end = history.seq + 1 if selection.before is None else min(selection.before, history.seq + 1)
    if versions is None:
        return range(first, max(first, end))
    return sorted({seq for each in versions for seq in history.numbers_about(each, *Event) if first <= seq < end})


def _periods(history: History, selection: Selection, versions: Iterable[int] | None) -> Iterator[Period]:
    at_once, since = min(selection.last or _BATCH, _BATCH), selection.since
    found = served(history, of=versions, before=selection.before, at_once=at_once)
    if since is None:
        return found
    return takewhile(lambda period: period.until is None or period.until > since, found)


def _entries(history: History, numbers: Sequence[int]) -> Iterator[Entry]:
    for end in range(len(numbers), 0, -_BATCH):
        yield from history.entries_with(numbers[max(0, end - _BATCH) : end][::-1])
