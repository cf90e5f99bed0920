"""What a client knows of the names of all classes: they are asked for once for each version. No input or output."""

import time
from collections.abc import Callable

from serving.errors import RefusedError

# After a request for them has failed, the time until the next one.
AGAIN_SECONDS = 10.0
# Of versions, so that numbers of versions that somebody makes up do not fill the memory.
MOST = 1000

# As TensorFlow Serving says it.
_NO_SIGNATURE = "Serving signature key"

Names = tuple[str, ...]


class ClassNames:
    """The names by model and version, which never change. Use it from one thread at a time, except for `get` and `due`.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[tuple[str, int], tuple[Names | None, float]] = {}

    def get(self, model: str, version: int) -> Names | None:
        """The names; None if they are not known, or the version was exported without them."""
        names, _ = self._known.get((model, version), (None, 0.0))
        return names

    def due(self, model: str, version: int) -> bool:
        """Whether to ask for them now."""
        _, again_at = self._known.get((model, version), (None, -float("inf")))
        return self._now() >= again_at

    def store(self, model: str, version: int, names: Names) -> None:
        self._keep(model, version, names, float("inf"))

    def failed(self, model: str, version: int, error: Exception) -> None:
        """They could not be had; if the version has none, they are not asked for again."""
        none = isinstance(error, RefusedError) and _NO_SIGNATURE in str(error)
        self._keep(model, version, None, float("inf") if none else self._now() + AGAIN_SECONDS)

    def _keep(self, model: str, version: int, names: Names | None, again_at: float) -> None:
        self._known.pop((model, version), None)
        if len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[model, version] = names, again_at
