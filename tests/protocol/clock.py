"""Time that passes only while somebody sleeps, and then lets everything happen that was due."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Protocol

_START = datetime(2026, 1, 1, tzinfo=UTC)
_due = attrgetter("due")


class Actor(Protocol):
    """Something that happens by itself. `due`: the moment of its next act, infinite where it has nothing to do."""

    due: float

    def act(self) -> None: ...


class VirtualClock:
    """See `pipeline.clock.Clock`. Of two actors that are due at one moment the one added first acts first."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._actors: list[Actor] = []

    def add(self, actor: Actor) -> None:
        self._actors.append(actor)

    def now(self) -> datetime:
        return _START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.wait(lambda: False, seconds)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until `done`, `seconds` at most; whether it was done."""
        end = self._elapsed + seconds
        while not done():
            actor = min(self._actors, key=_due, default=None)
            if actor is None or actor.due > end:
                self._elapsed = end
                return False
            # What was due earlier happens late, for example what somebody made due who is no actor.
            self._elapsed = max(self._elapsed, actor.due)
            actor.act()
        return True
