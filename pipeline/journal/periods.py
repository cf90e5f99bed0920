"""Which version served when, from the journal alone."""

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from pipeline.journal.entries import Entry, Event
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


def served(history: History) -> Iterator[Period]:
    """Every period, the newest first. Times in which nothing served are left out. Reads as far as the caller goes."""
    until: Entry | None = None
    for each in history.moves():
        move = history.entry(each.seq)
        if each.serving is not None:
            yield _period(move, each.serving, history, until=until)
        until = move


def _period(move: Entry, version: int, history: History, *, until: Entry | None) -> Period:
    last = until.seq if until else history.seq
    return Period(
        version=version,
        since=move.at,
        until=until.at if until else None,
        event=move.event,
        actor=move.actor,
        run_key=move.run_key,
        reason=move.reason,
        verdict=str(move.verdict) if move.verdict else None,
        confirmed=_confirmed(history, version, after=move.seq, until=last),
    )


def _confirmed(history: History, version: int, *, after: int, until: int) -> datetime | None:
    """When an entry of a period confirmed its version first."""
    confirmed = [seq for seq in history.numbers_about(version, Event.CONFIRMED) if after < seq <= until]
    return history.entry(confirmed[0]).at if confirmed else None
