"""How many requests may be sent a second time, so that retries do not overload a fleet that fails. No input or output.

The budget of Finagle and of gRPC's retry throttling: each request earns a part of a retry, see
https://finagle.github.io/blog/2016/02/08/retry-budgets/.
"""

import threading
import time
from collections.abc import Callable

# Of the requests.
SHARE = 0.2
# Retries that need no requests before them, and how many of these come back in a second: for a client that asks seldom.
RESERVE = 10.0
RESERVE_PER_SECOND = 1.0
# Earned retries that are kept: those of the last 1250 requests.
MOST_EARNED = 250.0


class RetryBudget:
    """Allows retries for 20 % of the requests, and a few besides. Safe to use from several threads.

    In any time there are at most `SHARE * requests + RESERVE + RESERVE_PER_SECOND * seconds` retries, besides those
    that were earned before.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._earned = 0.0
        self._reserve = RESERVE
        self._refilled_at = now()
        self._lock = threading.Lock()

    def asked(self) -> None:
        """A request is sent for the first time."""
        with self._lock:
            self._earned = min(self._earned + SHARE, MOST_EARNED)

    def may_retry(self) -> bool:
        """Whether a request may be sent again, which is then counted."""
        with self._lock:
            # A fifth added five times is less than 1.
            if self._earned >= 1 - 1e-6:
                self._earned = max(0.0, self._earned - 1)
                return True
            now = self._now()
            self._reserve = min(RESERVE, self._reserve + (now - self._refilled_at) * RESERVE_PER_SECOND)
            self._refilled_at = now
            if self._reserve >= 1:
                self._reserve -= 1
                return True
            return False
