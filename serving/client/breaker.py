"""Stops the requests to a fleet of which no replica answers, and tries it with single ones. No input or output."""

import threading
import time
from collections.abc import Callable

from serving.client.recent import Recent
from serving.errors import CircuitOpenError

# It opens if so many requests of the last 2 to 4 seconds failed, and they are this part of all.
SPAN_SECONDS = 2.0
FEWEST_FAILURES = 5
FAILING = 0.9
# After it has opened, the time until a trial; after each trial that fails twice as long, up to the last.
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 5.0

_FLEET = "the fleet"


class CircuitBreaker:
    """Open: no request is sent. Half-open: one is. Closed: all are. Safe to use from several threads.

    It knows requests, not replicas: `Picker` avoids single replicas that fail.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._recent = Recent(SPAN_SECONDS)
        self._is_open = False
        self._rest = FIRST_REST_SECONDS
        self._trial_at = 0.0
        # Changes when it opens, and with each trial: a request that fails later was sent before, and is no news.
        self._epoch = 0
        self._lock = threading.Lock()

    def admit(self) -> int:
        """Let a request through; give the number back with its outcome.

        If the outcome of a trial is never reported, there is another trial after the same time.

        Raises:
            CircuitOpenError: it must not be sent; its `seconds` say when one may be.
        """
        if not self._is_open:
            return self._epoch
        with self._lock:
            if self._is_open:
                self._begin_trial()
            return self._epoch

    def worked(self) -> None:
        """A replica answered a request, be it with a refusal. This closes it."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._rest = FIRST_REST_SECONDS
                self._recent.clear()
            self._recent.count(self._now(), good=True)

    def failed(self, epoch: int) -> None:
        """No replica answered the request that got this number."""
        with self._lock:
            if epoch != self._epoch:
                return
            now = self._now()
            self._recent.count(now, good=False)
            if self._is_open:
                self._rest = min(2 * self._rest, LONGEST_REST_SECONDS)
                self._open(now)
                return
            good, bad = self._recent.totals(now)
            if bad >= FEWEST_FAILURES and bad >= FAILING * (good + bad):
                self._open(now)

    def _begin_trial(self) -> None:
        now = self._now()
        if now < self._trial_at:
            seconds = self._trial_at - now
            raise CircuitOpenError(
                _FLEET,
                f"nearly all requests of the last seconds failed because no replica answered; the next one is sent in "
                f"{seconds:.1f} s. Check the servers",
                seconds=seconds,
            )
        self._epoch += 1
        self._trial_at = now + self._rest

    def _open(self, now: float) -> None:
        self._is_open = True
        self._epoch += 1
        self._trial_at = now + self._rest
