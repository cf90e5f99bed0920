"""Which version served when, from the journal alone."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline.journal.entries import GIVEN_TRAFFIC, Entry, Event
from pipeline.journal.facts import Move
from pipeline.journal.history import History


class Period(BaseModel):
    """One version served from one moment to another.

    Attributes:
        version: its number.
        since: when traffic moved to it; `from` in JSON.
        until: when traffic left it; None if it serves now.
        event: what moved the traffic.
        actor: who acted.
        run_key: the run that wrote it.
        reason: why, for people.
        verdict: the verdict that it rests on, as text; None if it rests on none.
        confirmed: when the journal said that every replica answers from it; None if it did not.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    version: int
    since: datetime = Field(alias="from")
    until: datetime | None
    event: Event
    actor: str
    run_key: str
    reason: str
    verdict: str | None
    confirmed: datetime | None


class _Span(NamedTuple):
    """A move of traffic to a version, and the next move."""

    begin: Move
    end: Move | None


def served(
    history: History, *, of: Iterable[int] | None = None, before: int | None = None, at_once: int = 1
) -> Iterator[Period]:
    """Every period, the newest first. Times in which nothing served are left out. Reads as far as the caller goes.

    Args:
        history: the journal.
        of: only the periods of these versions; None for all.
        before: only the periods that began before the entry with this number; None for all.
        at_once: for so many periods the entries are read at once.

    Raises:
        StorageError: an entry is missing, or is not an entry.
    """
    spans = _spans(history, before) if of is None else _spans_of(history, of, before)
    while some := list(islice(spans, at_once)):
        yield from _periods(some, history)


def _spans(history: History, before: int | None) -> Iterator[_Span]:
    until = history.move_after(before - 1) if before is not None else None
    for move in history.moves(before=before):
        if move.serving is not None:
            yield _Span(move, until)
        until = move


def _spans_of(history: History, versions: Iterable[int], before: int | None) -> Iterator[_Span]:
    moves = [Move(seq, version) for version in versions for seq in history.numbers_about(version, *GIVEN_TRAFFIC)]
    for move in sorted(moves, reverse=True):
        if before is None or move.seq < before:
            yield _Span(move, history.move_after(move.seq))


def _periods(spans: Sequence[_Span], history: History) -> Iterator[Period]:
    confirmed = [_confirmed(history, span) for span in spans]
    ends = [span.end.seq for span in spans if span.end]
    numbers = sorted({*(span.begin.seq for span in spans), *ends, *(seq for seq in confirmed if seq)})
    entries = dict(zip(numbers, history.entries_with(numbers), strict=True))
    for span, seq in zip(spans, confirmed, strict=True):
        yield _period(entries[span.begin.seq], entries.get(span.end.seq if span.end else 0), entries.get(seq or 0))


def _period(move: Entry, until: Entry | None, confirmed: Entry | None) -> Period:
    assert move.state.serving is not None, "an entry that begins a period says what serves"
    return Period(
        version=move.state.serving,
        since=move.at,
        until=until.at if until else None,
        event=move.event,
        actor=move.actor,
        run_key=move.run_key,
        reason=move.reason,
        verdict=str(move.verdict) if move.verdict else None,
        confirmed=confirmed.at if confirmed else None,
    )


def _confirmed(history: History, span: _Span) -> int | None:
    """The number of the first entry of a period that confirmed its version."""
    version, until = span.begin.serving, span.end.seq if span.end else history.seq
    seqs = history.numbers_about(version, Event.CONFIRMED) if version is not None else []
    return next((seq for seq in seqs if span.begin.seq < seq <= until), None)
