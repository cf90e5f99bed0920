"""Something done now, and again every so often, on a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class PeriodicFunction:
    """Turns begin `seconds` apart; one that takes longer is followed by the next at once.

    An action that raises is logged and done again at its next turn: no loop of this server ends by itself.
    """

    def __init__(self, action: Callable[[], object], *, seconds: float, name: str) -> None:
        self._action = action
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no further turn; one under way is left to finish."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                self._action()
            except Exception:
                logger.exception("%s failed; it is tried again in %s s", self._thread.name, self._seconds)
            self._stopped.wait(max(begun + self._seconds - time.monotonic(), 0))
