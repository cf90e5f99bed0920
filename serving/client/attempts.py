"""The attempts of one request: which replica each one asks, for how long, and after which errors there is another."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.client.picker import Pick, Picker
from serving.errors import ConnectionLostError, NotServedError, ServingError, UnreachableError

# One for the list of replicas, if it is not known yet, and one for each of two attempts.
_PARTS = 3


@dataclass(frozen=True)
class Attempt:
    """What to do next: ask this replica, for so many seconds at most."""

    pick: Pick
    seconds: float

    @property
    def address(self) -> str:
        return self.pick.address


class Attempts:
    """Two attempts at most, each with a third of the time.

    Args:
        picker: where addresses come from; it gets the outcomes.
        timeout: of the whole request, in seconds.
        now: a clock, in seconds.
    """

    def __init__(self, picker: Picker, *, timeout: float, now: Callable[[], float] = time.monotonic) -> None:
        self._picker = picker
        self._now = now
        self._ends = now() + timeout
        self._first_error: ServingError | None = None
        self.part = timeout / _PARTS

    def first(self) -> Attempt:
        """The first attempt.

        Raises:
            DiscoveryError: there is no list of replicas yet.
        """
        pick = self._picker.pick()
        assert pick is not None, "a list that is not empty has an address"
        return self._attempt(pick)

    def answered(self, attempt: Attempt) -> None:
        self._picker.answered(attempt.pick)

    def after(self, attempt: Attempt, error: ServingError) -> Attempt:
        """The attempt that follows one that failed.

        Raises:
            ServingError: the error, if no attempt follows: it was the second, the replica itself refused the request or
                failed on it, or no other replica could answer it.
        """
        if isinstance(error, UnreachableError):
            self._picker.failed(attempt.pick)
        else:
            self._picker.answered(attempt.pick)
        pick = self._another(attempt, error)
        if pick is None:
            raise error
        self._first_error = error
        return self._attempt(pick)

    def _another(self, attempt: Attempt, error: ServingError) -> Pick | None:
        if self._first_error is not None:
            error.add_note(f"The attempt before it failed too: {self._first_error}")
            return None
        if not isinstance(error, UnreachableError | NotServedError):
            return None
        # The answer that a version is not there is worth more than a likely failure.
        other = self._picker.pick(other_than={attempt.address}, failed=isinstance(error, UnreachableError))
        # A lone replica that has been restarted accepts a new connection.
        return other or (self._picker.pick() if isinstance(error, ConnectionLostError) else None)

    def _attempt(self, pick: Pick) -> Attempt:
        # gRPC takes a time limit of zero, or less, for one that has passed.
        return Attempt(pick, min(self.part, self._ends - self._now()))
