"""The versions that a roll-back may return to: when and how long each served, how good it was, what it is now."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from rich.table import Table
from rich.text import Text

from pipeline.context import ModelContext
from pipeline.errors import StorageError
from pipeline.inspection.history import visible
from pipeline.journal.entries import GIVEN_TRAFFIC, Event
from pipeline.journal.history import History
from pipeline.runs.records import EvaluateRecord

log = logging.getLogger(__name__)

# As many as a person reads through; `history` shows all.
_SHOWN = 20
# The newest moves of traffic, which also name versions that were retired; and the newest periods of each version.
_MOVES = 100
_PERIODS = 8
_AT_ONCE = _SHOWN


@dataclass(frozen=True)
class Target:
    """A version that has served.

    Attributes:
        version: its number.
        first: when it served first, in UTC.
        seconds_served: for how long in its newest eight periods, which are mostly all.
        has_served_longer: whether there were more periods.
        accuracy: 0 to 1, on the held-out images of its own run; None if the run's records are gone.
        meaning: what it is now, as text, for example `previous` or `good`.
    """

    version: int
    first: datetime
    seconds_served: float
    has_served_longer: bool
    accuracy: float | None
    meaning: str


def targets(context: ModelContext, history: History) -> list[Target]:
    """The versions that have served, the one that served last first; at most twenty.

    However long the history is, only the entries about these versions are read.
    """
    shown = _served_last(history)
    times = _times(shown, history, now=context.clock.now())

    def target(version: int) -> Target:
        accuracy = _accuracy(context, version, history)
        return Target(version, *times[version], accuracy=accuracy, meaning=_meaning(version, history))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(target, shown))


def _served_last(history: History) -> list[int]:
    newest = [move.serving for move in islice(history.moves(), _MOVES)]
    served = dict.fromkeys(version for version in (*newest, *history.served()) if version is not None)
    return list(islice((version for version in served if history.has(version, *GIVEN_TRAFFIC)), _SHOWN))


def _times(versions: Sequence[int], history: History, *, now: datetime) -> dict[int, tuple[datetime, float, bool]]:
    """By version: when it served first, for how many seconds in its newest periods, and whether it had others."""
    begun = {version: history.numbers_about(version, *GIVEN_TRAFFIC) for version in versions}
    periods = {version: [(seq, _end(seq, history)) for seq in seqs[-_PERIODS:]] for version, seqs in begun.items()}
    needed = {seq for found in periods.values() for period in found for seq in period if seq}
    numbers = sorted(needed | {seqs[0] for seqs in begun.values()})
    at = dict(zip(numbers, (entry.at for entry in history.entries_with(numbers)), strict=True))
    return {
        version: (
            at[seqs[0]],
            sum(((at[end] if end else now) - at[seq]).total_seconds() for seq, end in periods[version]),
            len(seqs) > _PERIODS,
        )
        for version, seqs in begun.items()
    }


def _end(seq: int, history: History) -> int | None:
    after = history.move_after(seq)
    return after.seq if after else None


def table(model: str, found: Sequence[Target]) -> Table:
    """The same for a person."""
    view = Table(title=f"Versions of {model} that have served, newest first", title_justify="left")
    for column in ("version", "served first (UTC)", "time served", "accuracy", "now"):
        view.add_column(column, no_wrap=True)
    for each in found:
        accuracy = "?" if each.accuracy is None else f"{each.accuracy:.4f}"
        first, served_for = f"{each.first:%Y-%m-%d %H:%M}", _time(each)
        view.add_row(f"v{each.version}", first, served_for, accuracy, Text(visible(each.meaning)))
    return view


def _accuracy(context: ModelContext, version: int, history: History) -> float | None:
    """The accuracy of a version; None if its record cannot be read, because a roll-back must not fail for that."""
    records = context.records_of(version, history)
    try:
        record = records.find(EvaluateRecord) if records else None
    except StorageError as error:
        log.warning("the accuracy of v%d is not known: %s", version, error)
        return None
    return record.evaluation.candidate.accuracy if record else None


def _meaning(version: int, history: History) -> str:
    state = history.state
    for role in ("serving", "previous"):
        if version == getattr(state, role):
            return role
    retired, withdrawn = history.retirement(version), history.withdrawal(version)
    if retired:
        return f"retired on {retired.at:%Y-%m-%d}: its files are deleted"
    if withdrawn:
        return f"{withdrawn.event} on {withdrawn.at:%Y-%m-%d}: {withdrawn.reason}"
    if history.of_version(version, Event.REISSUED):
        return f"good, the model of v{history.original(version)}"
    return "good"


def _time(served: Target) -> str:
    """Days and hours, hours and minutes, or less."""
    whole = timedelta(seconds=round(served.seconds_served))
    hours, rest = divmod(whole.seconds, 3600)
    over = "over " if served.has_served_longer else ""
    if whole.days:
        return f"{over}{whole.days} d {hours} h"
    return f"{over}{hours} h {rest // 60} min" if hours else f"{over}{rest // 60} min {rest % 60} s"
