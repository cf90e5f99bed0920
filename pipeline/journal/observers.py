"""Observers of the journal: they follow it, and take part in no decision. Today there is one, MLflow."""

from collections.abc import Callable, Sequence

from pipeline.journal.history import History

# Gets the newest history; returns why it could not follow, or None. It never raises, and has its own time limit.
Observer = Callable[[History], str | None]


class Observers:
    """Calls every observer once for all new entries, after replicas have confirmed their effects or a wait has ended.

    A verb does that in one place, when it has ended: see `pipeline.context.observed`. An observer gets the newest
    history. So one that missed earlier entries, because a process died, catches up at the next call.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._scheduled = False

    def schedule(self) -> None:
        """Note that entries were written, or that replicas have followed some: the next `tell` calls the observers."""
        self._scheduled = True

    def notify(self, history: History, *, again: bool = False) -> list[str]:
        """Call the observers if `expect` was called since the last time.

        Args:
            history: the newest history.
            again: call them in any case.

        Returns:
            A sentence for each observer that could not follow.
        """
        if not self._scheduled and not again:
            return []
        self._scheduled = False
        return [problem for observer in self._observers if (problem := observer(history)) is not None]
