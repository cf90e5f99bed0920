"""One version under management (upstream's LoaderHarness): its phase, its model once loaded, and who is using it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.model_server.lifecycle.availability_preserving_policy import Phase
from serving.model_server.lifecycle.servable import Load, Servable, ServableId
from serving.status import CancelledError, StatusError, UnknownError

logger = logging.getLogger(__name__)


Sleep = Callable[[float], object]


class LoaderHarness:
    """The manager decides and sets `phase`; this does the loading, the retries, the wait for requests in flight."""

    def __init__(self, servable_id: ServableId, path: str) -> None:
        self.id = servable_id
        self.path = path
        self.aspired = True
        self.phase = Phase.NEW
        self.serving = False
        self._servable: Servable | None = None
        self._cancelled = False
        self._users = 0
        self._idle = threading.Condition()

    def cancel(self) -> None:
        """No further try after the one under way; a load that succeeds nevertheless is thrown away."""
        self._cancelled = True

    def load(self, load: Load, *, retries: int, interval_seconds: float, sleep: Sleep) -> None:
        """Return with the model loaded, or raise the error of the last try."""
        servable = self._try_to_load(load, retries, interval_seconds, sleep)
        if self._cancelled:
            self._close(servable)
            raise CancelledError("Loading of servable cancelled")
        self._servable = servable

    def _try_to_load(self, load: Load, retries: int, interval_seconds: float, sleep: Sleep) -> Servable:
        for attempt in range(max(retries, 0) + 1):
            if attempt:
                sleep(interval_seconds)
                logger.info("model %s version %d: try %d of %d", *self.id, attempt + 1, retries + 1)
            try:
                return load(self.id, self.path)
            except Exception as problem:  # noqa: BLE001 - whatever a bad model does is that model's error, and stays so
                error = (
                    problem
                    if isinstance(problem, StatusError)
                    else UnknownError(f"{type(problem).__name__}: {problem}")
                )
                logger.error("model %s version %d: loading from %s failed: %s", *self.id, self.path, error)
            if self._cancelled:
                break
        raise error

    @contextmanager
    def use(self) -> Iterator[Servable]:
        """The model, which is not unloaded before the block ends. Call `enter` under the manager's lock first."""
        try:
            assert self._servable is not None
            yield self._servable
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def enter(self) -> None:
        with self._idle:
            self._users += 1

    def unload(self) -> None:
        """Wait for the requests in flight, then give the memory back."""
        with self._idle:
            self._idle.wait_for(lambda: self._users == 0)
        servable, self._servable = self._servable, None
        if servable is not None:
            self._close(servable)

    def _close(self, servable: Servable) -> None:
        """A model that cannot be closed has lost its memory, but not the place of the next version."""
        try:
            servable.close()
        except Exception:
            logger.exception("model %s version %d: could not be closed", *self.id)
