"""Observers of the journal: they follow it, and take part in no decision. Today there is one, MLflow."""

from collections.abc import Callable, Collection, Sequence

from pipeline.journal.entries import Event
from pipeline.journal.history import History

# Gets the newest history and the events since the last call, which may be none; None instead of them asks it to check
# everything. Returns why it could not follow, or None. It never raises, and has its own time limit.
Observer = Callable[[History, Collection[Event] | None], str | None]


class Observers:
    """Calls every observer once for all new entries, after replicas have confirmed their effects or a wait has ended.

    A verb does that in one place, when it has ended: see `pipeline.context.observed`. An observer gets the newest
    history, so it need not have seen earlier ones.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._events: set[Event] = set()
        self._followed = False
        self._seen: int | None = None

    def schedule(self, event: Event | None = None) -> None:
        """Note that an entry was written, or, without an event, that replicas have followed the journal.

        The next `notify` calls the observers.
        """
        if event is None:
            self._followed = True
        else:
            self._events.add(event)

    def notify(self, history: History, *, again: bool = False) -> list[str]:
        """Call the observers if there is something that they have not seen since this process began.

        Args:
            history: the newest history.
            again: call them in any case, and let them check everything.

        Returns:
            A sentence for each observer that could not follow.
        """
        if not again and not self._events and not (self._followed and self._seen != history.seq):
            return []
        events = None if again else frozenset(self._events)
        self._events.clear()
        self._followed = False
        self._seen = history.seq
        return [problem for observer in self._observers if (problem := observer(history, events)) is not None]
