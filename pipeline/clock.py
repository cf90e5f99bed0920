"""Time as the verbs see it; tests may replace it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """When something happened, for people. It may jump; it only decides when a run counts as stopped."""

    def monotonic(self) -> float:
        """For deadlines, in seconds."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
