"""Which changes of the version that serves nobody has been told of yet. Pure.

Whoever is told keeps a list, newest or oldest first, of what `Change.as_extra` gave; that list says what is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.release.journal import Entry, History


@dataclass(frozen=True)
class Change:
    """An entry since which another version serves, or none."""

    entry: Entry

    def as_extra(self) -> dict[str, Any]:
        """What identifies the change, and what a listener wants to know of it; JSON."""
        return {
            "entry": self.entry.seq,
            "version": self.entry.state.serving,
            "at": self.entry.at.isoformat(),
            "event": str(self.entry.event),
            "run_key": self.entry.run_key,
            "by": self.entry.actor,
        }


def unannounced(history: History, announced: Sequence[Mapping[str, Any]], *, until: datetime) -> list[Change]:
    """The changes after the newest that was announced, up to a moment, the oldest first.

    Where none of this journal was announced it is only the newest change: a listener who is new wants to know what
    serves, and not all that ever did. What was announced of another journal does not count.
    """
    changes = _changes(history)
    known = {(extra.get("entry"), extra.get("at")) for extra in announced}
    newest = max((n for n, c in enumerate(changes) if (c.entry.seq, c.as_extra()["at"]) in known), default=None)
    waiting = changes[-1:] if newest is None else changes[newest + 1 :]
    return [change for change in waiting if change.entry.at <= until]


def _changes(history: History) -> list[Change]:
    before = [None, *(entry.state.serving for entry in history.entries)]
    return [
        Change(entry) for entry, served in zip(history.entries, before, strict=False) if entry.state.serving != served
    ]
