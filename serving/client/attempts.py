"""The attempts of one request: which replica each one asks, for how long, and after which errors there is another."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.client.breaker import CircuitBreaker
from serving.client.budget import RetryBudget
from serving.client.deadline import Deadline
from serving.client.picker import Pick, Picker
from serving.errors import (
    ConnectionLostError,
    NotServedError,
    OverloadedError,
    ServerFaultError,
    ServingError,
    TooSlowError,
    UnreachableError,
)


@dataclass(frozen=True)
class Attempt:
    """What to do next: ask this replica, for so many seconds at most.

    Attributes:
        pick: the replica.
        seconds: how long to wait for its answer.
        short: whether that is too little time to say that the replica is slow.
        last: whether no other attempt follows if this one takes all of its time.
    """

    pick: Pick
    seconds: float
    short: bool = False
    last: bool = False

    @property
    def address(self) -> str:
        return self.pick.address

    def shows_failure(self, error: ServingError) -> bool:
        """Whether the replica, or the way to it, is to be avoided after this error."""
        if isinstance(error, OverloadedError) or (self.short and isinstance(error, TooSlowError)):
            return False
        return isinstance(error, UnreachableError)


class Attempts:
    """Two attempts at most.

    The first one has half of the time that is left, if another replica that works can be asked after it, or if none
    works. If not, it has all of it, because a lone replica is asked again only after a lost connection, which takes no
    time. The second attempt has all that is left.

    Args:
        picker: where addresses come from; it gets the outcomes.
        timeout: of the whole request, in seconds.
        now: a clock, in seconds.
        budget: for second attempts.
        breaker: what is known of the fleet; it gets the outcome of the request.
        fair_seconds: a replica that does not answer in less time than this has not failed.
    """

    def __init__(
        self,
        picker: Picker,
        *,
        timeout: float,
        now: Callable[[], float] = time.monotonic,
        budget: RetryBudget | None = None,
        breaker: CircuitBreaker | None = None,
        fair_seconds: float = 0.0,
    ) -> None:
        self._picker = picker
        self._deadline = Deadline(timeout, now=now)
        self._budget = budget or RetryBudget(now=now)
        self._breaker = breaker or CircuitBreaker(now=now)
        self._fair_seconds = fair_seconds
        self._admitted = 0
        self._first_error: ServingError | None = None
        self.part = self._deadline.part

    def first(self) -> Attempt:
        """The first attempt.

        Raises:
            DiscoveryError: there is no list of replicas yet.
            CircuitOpenError: nearly all requests to the fleet fail.
        """
        self._admitted = self._breaker.admit()
        self._budget.asked()
        pick = self._picker.pick()
        assert pick is not None, "a list that is not empty has an address"
        return self._attempt(pick, last=not self._picker.has_other(pick))

    def answered(self, attempt: Attempt) -> None:
        self._picker.answered(attempt.pick)
        self._breaker.worked()

    def after(self, attempt: Attempt, error: ServingError) -> Attempt:
        """The attempt that follows one that failed.

        Raises:
            ServingError: the error, if no attempt follows: it was the second, the replica itself refused the request or
                failed on it, no other replica could answer it, or too many requests are retried.
        """
        self._report(attempt, error)
        pick = self._another(attempt, error)
        if pick is None:
            raise error
        self._first_error = error
        return self._attempt(pick, last=True)

    def _report(self, attempt: Attempt, error: ServingError) -> None:
        if attempt.shows_failure(error):
            self._picker.failed(attempt.pick)
        elif not isinstance(error, TooSlowError):
            self._picker.answered(attempt.pick, faulty=isinstance(error, ServerFaultError))
            self._breaker.worked()

    def _another(self, attempt: Attempt, error: ServingError) -> Pick | None:
        if self._first_error is not None:
            error.add_note(f"The attempt before it failed too: {self._first_error}")
            pick = None
        else:
            pick = self._second(attempt, error)
        if pick is None and attempt.shows_failure(error):
            self._breaker.failed(self._admitted)
        return pick

    def _second(self, attempt: Attempt, error: ServingError) -> Pick | None:
        if not isinstance(error, UnreachableError | NotServedError):
            return None
        if attempt.last and isinstance(error, TooSlowError):
            return None
        # That a version is not there costs a replica nothing, so such answers need no budget.
        if isinstance(error, UnreachableError) and not self._budget.may_retry():
            error.add_note("It was not sent again: more than a fifth of the requests have failed")
            return None
        # An answer, even that a version is not there or that a queue is full, is worth more than a likely failure.
        failed = not isinstance(error, NotServedError | OverloadedError)
        other = self._picker.pick(other_than={attempt.address}, failed=failed)
        # A lone replica that has been restarted accepts a new connection.
        return other or (self._picker.pick() if isinstance(error, ConnectionLostError) else None)

    def _attempt(self, pick: Pick, *, last: bool) -> Attempt:
        # gRPC takes a time limit of zero, or less, for one that has passed.
        seconds = self._deadline.for_attempt(another=not last)
        return Attempt(pick, seconds, short=seconds < self._fair_seconds, last=last)
