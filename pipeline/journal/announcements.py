"""Which changes of the version that serves were not announced yet. Pure.

The listener keeps, in any order, what `extra_of` gave for each change that was announced.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.journal.entries import Entry
from pipeline.journal.history import History
from pipeline.journal.periods import moves


def extra_of(move: Entry) -> dict[str, Any]:
    """What identifies a change of the version that serves, and what a listener wants to know of it; JSON."""
    return {
        "entry": move.seq,
        "version": move.state.serving,
        "at": move.at.isoformat(),
        "event": str(move.event),
        "run_key": move.run_key,
        "by": move.actor,
    }


def unannounced(history: History, announced: Sequence[Mapping[str, Any]], *, until: datetime) -> list[Entry]:
    """The changes after the newest that was announced, up to a moment, the oldest first.

    Where no change of this journal was announced it is only the newest one: a new listener wants to know what serves
    now, not everything that ever did. What was announced of another journal does not count.
    """
    changes = moves(history)
    # No set: what others have put into an extra may be of any type.
    known = [(extra.get("entry"), extra.get("at")) for extra in announced]
    newest = max((n for n, each in enumerate(changes) if (each.seq, each.at.isoformat()) in known), default=None)
    waiting = changes[-1:] if newest is None else changes[newest + 1 :]
    return [each for each in waiting if each.at <= until]
