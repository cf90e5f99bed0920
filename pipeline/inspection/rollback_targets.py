"""The versions that a roll-back may return to: when and how long each served, how good it was, what it is now."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from pipeline.context import ModelContext
from pipeline.errors import StorageError
from pipeline.inspection.history import visible
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.periods import served
from pipeline.runs.records import EvaluateRecord

log = logging.getLogger(__name__)

# As many as a person reads through; `history` shows all.
_SHOWN = 20
_AT_ONCE = 8


@dataclass(frozen=True)
class Target:
    """A version that has served.

    Attributes:
        version: its number.
        first: when it served first, in UTC.
        seconds_served: for how long in total.
        accuracy: 0 to 1, on the held-out images of its own run; None if the run's records are gone.
        meaning: what it is now, as text, for example `previous` or `good`.
    """

    version: int
    first: datetime
    seconds_served: float
    accuracy: float | None
    meaning: str


def targets(context: ModelContext, history: History) -> list[Target]:
    """The versions that have served, the one that served last first; at most twenty."""
    now = context.clock.now()
    periods = list(served(history))[::-1]
    shown = list(dict.fromkeys(period.version for period in reversed(periods)))[:_SHOWN]
    first = {period.version: period.since for period in reversed(periods)}
    seconds = dict.fromkeys(shown, 0.0)
    for period in periods:
        if period.version in seconds:
            seconds[period.version] += ((period.until or now) - period.since).total_seconds()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        accuracies = pool.map(lambda version: _accuracy(context, version, history), shown)
        return [
            Target(version, first[version], seconds[version], accuracy, _meaning(version, history))
            for version, accuracy in zip(shown, accuracies, strict=True)
        ]


def table(model: str, found: Sequence[Target]) -> Table:
    """The same for a person."""
    view = Table(title=f"Versions of {model} that have served, newest first", title_justify="left")
    for column in ("version", "served first (UTC)", "time served", "accuracy", "now"):
        view.add_column(column, no_wrap=True)
    for each in found:
        accuracy = "?" if each.accuracy is None else f"{each.accuracy:.4f}"
        first, served_for = f"{each.first:%Y-%m-%d %H:%M}", _time(each.seconds_served)
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


def _time(seconds: float) -> str:
    """Days and hours, hours and minutes, or less."""
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    if whole.days:
        return f"{whole.days} d {hours} h"
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
