"""Which changes of the serving version were not announced yet. Pure.

The listener keeps what `extra_of` returned for each announced change, in any order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.journal.entries import Entry
from pipeline.journal.history import History
from pipeline.journal.periods import moves


def extra_of(move: Entry) -> dict[str, Any]:
    """A JSON object that identifies a change of the serving version and describes it for a listener.

    `entry` and `at` together identify it; `at` is an ISO 8601 time in UTC.
    """
    return {
        "entry": move.seq,
        "version": move.state.serving,
        "at": move.at.isoformat(),
        "event": str(move.event),
        "run_key": move.run_key,
        "by": move.actor,
    }


def unannounced(history: History, announced: Sequence[Mapping[str, Any]], *, until: datetime) -> list[Entry]:
    """The changes after the newest announced one, up to a moment, the oldest first.

    If no change of this journal was announced, only the newest one: a new listener needs to know what serves now, and
    not the whole history. Announcements of another journal are ignored.

    Args:
        history: the journal.
        announced: what `extra_of` returned for the announced changes.
        until: later changes are left out.
    """
    changes = moves(history)
    # No set: what others have put into an extra may be of any type.
    known = [(extra.get("entry"), extra.get("at")) for extra in announced]
    newest = max((n for n, each in enumerate(changes) if (each.seq, each.at.isoformat()) in known), default=None)
    waiting = changes[-1:] if newest is None else changes[newest + 1 :]
    return [each for each in waiting if each.at <= until]
