"""Which versions users may get answers from, and when, according to the journal; and which answers broke that. Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from embedded.demo.traffic import RecordedAnswer
from pipeline.journal.entries import GIVEN_TRAFFIC
from pipeline.journal.history import History
from pipeline.journal.state import State


class Answering(Protocol):
    """Which version should answer in a state, on the replicas of the first ring or on all others."""

    def __call__(self, state: State, *, first_ring: bool) -> int | None: ...


@dataclass(frozen=True)
class AllowedPeriod:
    """From when until when a version may answer; `until` is None for the version that should answer now."""

    version: int
    since: datetime
    until: datetime | None

    def contains(self, answer: RecordedAnswer) -> bool:
        in_time = self.since <= answer.at and (self.until is None or answer.at <= self.until)
        return answer.version == self.version and in_time


def allowed_periods(
    history: History, answering: Callable[[State], int | None], max_switch_seconds: Callable[[int], float]
) -> list[AllowedPeriod]:
    """When each version may answer.

    Args:
        history: the journal.
        answering: which version should answer in a state.
        max_switch_seconds: how long the servers may take to switch to a version once it should answer.
    """
    periods: list[AllowedPeriod] = []
    version, since = None, None
    for entry in history.all():
        now = answering(entry.state)
        if now == version:
            continue
        if version is not None and since is not None:
            until = entry.at + timedelta(seconds=max_switch_seconds(now)) if now is not None else entry.at
            periods.append(AllowedPeriod(version, since, until))
        version, since = now, entry.at
    if version is not None and since is not None:
        periods.append(AllowedPeriod(version, since, None))
    return periods


def disallowed(
    answers: Iterable[RecordedAnswer],
    history: History,
    *,
    first_ring: Collection[str],
    answering: Answering,
    max_switch_seconds: Callable[[int], float],
) -> list[RecordedAnswer]:
    """The answers that came from a version at a time when the replica that gave them should not have answered from it.

    Args:
        answers: what users got.
        history: the journal.
        first_ring: the addresses of its replicas. Those alone may answer from a candidate that only they have.
        answering: which version should answer in a state.
        max_switch_seconds: as for `allowed_periods`.
    """
    periods = {
        inside: allowed_periods(history, partial(answering, first_ring=inside), max_switch_seconds)
        for inside in (True, False)
    }
    return [
        answer
        for answer in answers
        if not any(period.contains(answer) for period in periods[answer.address in first_ring])
    ]


def unpromoted(answers: Iterable[RecordedAnswer], history: History) -> list[RecordedAnswer]:
    """The answers from versions that were promoted later, or never."""
    since: dict[int, datetime] = {}
    for entry in history.all():
        if entry.event in GIVEN_TRAFFIC:
            since.setdefault(entry.version, entry.at)
    return [each for each in answers if each.version not in since or each.at < since[each.version]]


def duration_seconds(answers: Sequence[RecordedAnswer]) -> float:
    """The seconds from the first answer to the last; 0 without answers."""
    return (answers[-1].at - answers[0].at).total_seconds() if answers else 0.0


def seconds_after(moment: datetime, answers: Sequence[RecordedAnswer]) -> float:
    """The seconds from a moment to the last answer; 0 if no answer came after it."""
    return max((answers[-1].at - moment).total_seconds(), 0.0) if answers else 0.0
