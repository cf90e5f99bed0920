"""The replicas of one source, asked about once a second at most."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from serving.errors import DiscoveryError
from serving.fleet.pod import PodReplica
from serving.fleet.source import Source, SourceOfPods

log = logging.getLogger(__name__)

_MAX_AGE_SECONDS = 1.0
# How long a list is used while its source fails. It is never a proof: a replica may have been added meanwhile.
_MAX_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class _Found:
    addresses: tuple[str, ...]
    asked_at: float
    pods: Mapping[str, PodReplica] = field(default_factory=dict)


@dataclass(frozen=True)
class _Failure:
    message: str
    asked_at: float


class Discovery:
    """The replicas that a source lists. Safe to use from several threads.

    Args:
        source: where the addresses come from.
        now: a clock, in seconds.
    """

    def __init__(self, source: Source, *, now: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._now = now
        self._found: _Found | None = None
        self._failure: _Failure | None = None
        self._warned_of: _Found | None = None  # one line a list, not one a second
        self._asking = threading.Lock()
        self._state = threading.Lock()

    @property
    def last(self) -> Sequence[str]:
        """The newest list that the source has given; empty before the first one."""
        found = self._found
        return found.addresses if found else ()

    @property
    def pods(self) -> Mapping[str, PodReplica]:
        """The pods of the newest list, by address; empty if the source knows none."""
        found = self._found
        return found.pods if found else {}

    def current(self) -> Sequence[str]:
        """The replicas of at most a second ago. While the source fails, those of at most a minute ago.

        Raises:
            DiscoveryError: the source fails, and has given no list within the last minute.
        """
        called_at = self._now()
        # One thread asks. Those that have called meanwhile wait for its answer, and it is fresh enough for them.
        with self._asking:
            found, failure = self._found, self._failure
            if found and called_at - found.asked_at < _MAX_AGE_SECONDS:
                return found.addresses
            if failure and called_at - failure.asked_at < _MAX_AGE_SECONDS:
                return self._stale(failure)
            try:
                return self.fresh()
            except DiscoveryError as error:
                return self._stale(_Failure(str(error), called_at))

    def fresh(self) -> Sequence[str]:
        """The replicas that exist now.

        Raises:
            DiscoveryError: the source gave no answer.
        """
        asked_at = self._now()
        try:
            found = self._ask(asked_at)
        except DiscoveryError as error:
            with self._state:
                self._failure = _Failure(str(error), asked_at)
            raise
        with self._state:
            # Threads that asked at the same time may return in any order.
            if self._found is None or asked_at >= self._found.asked_at:
                self._found, self._failure = found, None
        return found.addresses

    def _ask(self, asked_at: float) -> _Found:
        if not isinstance(self._source, SourceOfPods):
            return _Found(tuple(self._source.addresses()), asked_at)
        pods = {replica.address: replica for replica in self._source.replicas()}
        return _Found(tuple(pods), asked_at, pods)

    def _stale(self, failure: _Failure) -> Sequence[str]:
        found = self._found
        age = self._now() - found.asked_at if found else None
        if found is None or age is None or age > _MAX_STALE_SECONDS:
            raise DiscoveryError(failure.message)
        if self._warned_of is not found:
            self._warned_of = found
            unknown = ". Restart counts of pods are not known meanwhile" if found.pods else ""
            log.warning("%s. Using the list of %.0f s ago, for a minute at most%s", failure.message, age, unknown)
        return found.addresses
