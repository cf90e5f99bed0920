"""Who follows the journal without being asked for a decision: MLflow today."""

from collections.abc import Callable, Sequence

from pipeline.journal.history import History

# Gets the newest history; returns why it could not follow, or None. It never raises, and has its own time limit.
Observer = Callable[[History], str | None]


class Observers:
    """Tells every observer of new entries once, after their effects were confirmed, or were waited for in vain.

    A verb tells them in one place, when it has ended: see `pipeline.context.observed`. The newest history is enough for
    an observer, so one that missed earlier entries, because a process died, makes up for that at the next call.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._expected = False

    def expect(self) -> None:
        """Note that entries were written, or that replicas have followed some."""
        self._expected = True

    def tell(self, history: History, *, again: bool = False) -> list[str]:
        """Tell them, if anything has happened since the last call or if they are to be told `again`.

        Returns:
            Why observers could not follow; one that could adds nothing.
        """
        if not self._expected and not again:
            return []
        self._expected = False
        return [problem for observer in self._observers if (problem := observer(history)) is not None]
