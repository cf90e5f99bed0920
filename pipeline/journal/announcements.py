"""Which changes of the serving version were not announced yet.

The listener keeps what `extra_of` returned for each announced change, in any order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from pipeline.journal.entries import Entry
from pipeline.journal.history import History


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
    known = next((seq for seq in _announced(announced) if _is_known(history, seq, announced)), None)
    if known is None:
        moves = list(islice(history.moves(), 1))
    else:
        moves = list(takewhile(lambda move: move.seq > known, history.moves()))
    waiting = history.entries_with([move.seq for move in reversed(moves)])
    return [each for each in waiting if each.at <= until]


def _announced(announced: Sequence[Mapping[str, Any]]) -> list[int]:
    """The numbers that may be those of entries, the highest first. What others put into an extra may be of any type."""
    found = {extra.get("entry") for extra in announced if type(extra.get("entry")) is int}
    return sorted((seq for seq in found if isinstance(seq, int)), reverse=True)


def _is_known(history: History, seq: int, announced: Sequence[Mapping[str, Any]]) -> bool:
    """Whether entry `seq` of this journal is a change that was announced."""
    if not 1 <= seq <= history.seq or not _changed(history, seq):
        return False
    at = history.entry(seq).at.isoformat()
    return any(extra.get("entry") == seq and extra.get("at") == at for extra in announced)


def _changed(history: History, seq: int) -> bool:
    """Whether an entry changed the serving version; the facts say it, so no entry is read."""
    move = history.move_after(seq - 1)
    return move is not None and move.seq == seq
