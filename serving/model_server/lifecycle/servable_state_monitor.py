"""The state of every version ever seen, as upstream's ServableStateMonitor keeps it."""

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from serving.model_server.lifecycle.servable import ServableId
from serving.status import CancelledError, StatusError

logger = logging.getLogger(__name__)


class ManagerState(IntEnum):
    """Numbered as in get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class ServableState:
    """`error` belongs to END: absent, the version was unloaded; present, it failed."""

    state: ManagerState
    error: StatusError | None
    moment: int


Settled = dict[ServableId, ServableState]


class ServableStateMonitor:
    """Keeps the last state of each version, END too, and lets callers wait for a state."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: defaultdict[str, dict[int, ServableState]] = defaultdict(dict)
        self._moment = 0
        self._closed = False

    def publish(self, servable: ServableId, state: ManagerState, error: StatusError | None = None) -> None:
        level = logging.ERROR if error else logging.INFO
        logger.log(level, "model %s version %d: %s%s", *servable, state.name, f" ({error})" if error else "")
        with self._changed:
            self._moment += 1
            self._seen[servable.name][servable.version] = ServableState(state, error, self._moment)
            self._changed.notify_all()

    def versions(self, name: str) -> Mapping[int, ServableState]:
        """Every version of the model ever seen, highest first."""
        with self._changed:
            return dict(sorted(self._seen.get(name, {}).items(), reverse=True))

    def state(self, servable: ServableId) -> ServableState | None:
        with self._changed:
            return self._seen.get(servable.name, {}).get(servable.version)

    def mark(self) -> int:
        """A moment to wait from: what was seen up to here does not count."""
        with self._changed:
            return self._moment

    def wait_until_settled(self, names: Collection[str], *, since: int = 0) -> Settled:
        """Wait, without limit, until each model has one version AVAILABLE or END; raises CancelledError once closed."""
        with self._changed:
            while not self._closed:
                settled = [self._first_settled(name, since) for name in sorted(names)]
                if all(settled):
                    return {servable: seen for each in settled if each for servable, seen in [each]}
                self._changed.wait()
        raise CancelledError("the server is shutting down")

    def close(self) -> None:
        """End every wait with CancelledError."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _first_settled(self, name: str, since: int) -> tuple[ServableId, ServableState] | None:
        for version, seen in sorted(self._seen.get(name, {}).items(), reverse=True):
            if seen.moment > since and seen.state in (ManagerState.AVAILABLE, ManagerState.END):
                return ServableId(name, version), seen
        return None


def refuse_unless_available(settled: Settled, kind: str) -> None:
    """Raise, in upstream's words, when what settled did so in END."""
    failed = {servable: seen for servable, seen in settled.items() if seen.state is not ManagerState.AVAILABLE}
    if not failed:
        return
    listed = "".join(
        f"{{{servable}{f' due to error: {seen.error}' if seen.error else ''}}}, " for servable, seen in failed.items()
    )
    raise StatusError(f"{len(failed)} {kind}(s) did not become available: {{{listed}}}")
