"""Writes journal entries as a verb does that makes another version serve; nothing is trained and nothing is asked."""

import os
from datetime import UTC, datetime, timedelta

from pipeline.journal.entries import Change, Event
from pipeline.journal.journal import JournalWriter
from pipeline.journal.state import State
from pipeline.storage.opening import open_bucket


class Earlier:
    """A clock that is some time behind."""

    def __init__(self, behind: timedelta) -> None:
        self._behind = behind

    def now(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def monotonic(self) -> float:
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def make_serve(model: str, *, run_key: str, minutes_ago: float = 0) -> None:
    """Let the next number serve."""
    bucket = open_bucket(os.environ["UNDERSTUDY_ROOT"], seconds=1.0)
    journal = JournalWriter(bucket, model, run_key=run_key, actor="ann", clock=Earlier(timedelta(minutes=minutes_ago)))
    number = journal.read().state.next_version
    state = State(serving=number, next_version=number + 1)
    journal.decide(lambda _: Change(Event.PROMOTED, number, "good", state))
