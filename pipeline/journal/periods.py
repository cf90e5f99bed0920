"""Which version served when, from the journal alone. Pure."""

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


def served(history: History) -> list[Period]:
    """Every period, the oldest first. Times in which nothing served are left out."""
    changes = moves(history)
    return [
        _period(move, history, until=until)
        for move, until in zip(changes, [*changes[1:], None], strict=False)
        if move.state.serving is not None
    ]


def moves(history: History) -> list[Entry]:
    """The entries that changed the serving version, to another one or to none; the oldest first."""
    before = [None, *(entry.state.serving for entry in history.entries)]
    return [entry for entry, served in zip(history.entries, before, strict=False) if entry.state.serving != served]


def _period(move: Entry, history: History, *, until: Entry | None) -> Period:
    meanwhile = history.entries[move.seq : until.seq if until else None]
    return Period(
        version=move.version,
        since=move.at,
        until=until.at if until else None,
        event=move.event,
        actor=move.actor,
        run_key=move.run_key,
        reason=move.reason,
        verdict=str(move.verdict) if move.verdict else None,
        confirmed=next((e.at for e in meanwhile if e.event is Event.CONFIRMED and e.version == move.version), None),
    )
