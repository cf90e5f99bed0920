"""From when until when users may get an answer from a version, by the journal; and what they got. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from embedded.traffic import Answered
from pipeline.journal.entries import GIVEN_TRAFFIC
from pipeline.journal.history import History
from pipeline.journal.state import State


@dataclass(frozen=True)
class Span:
    """`until` is None for the version that should answer now."""

    version: int
    since: datetime
    until: datetime | None

    def covers(self, answer: Answered) -> bool:
        in_time = self.since <= answer.at and (self.until is None or answer.at <= self.until)
        return answer.version == self.version and in_time


def spans(history: History, answering: Callable[[State], int | None], lag: Callable[[int], float]) -> list[Span]:
    """When each version may answer.

    Args:
        history: the journal.
        answering: the version that should answer in a state.
        lag: how many seconds a version may need, once it should answer, to come in place of the one before.
    """
    found: list[Span] = []
    version, since = None, None
    for entry in history.entries:
        now = answering(entry.state)
        if now == version:
            continue
        if version is not None and since is not None:
            until = entry.at + timedelta(seconds=lag(now)) if now is not None else entry.at
            found.append(Span(version, since, until))
        version, since = now, entry.at
    return [*found, Span(version, since, None)] if version is not None and since is not None else found


def strays(answers: Iterable[Answered], allowed: Sequence[Span]) -> list[Answered]:
    """The answers that no span covers."""
    return [answer for answer in answers if not any(span.covers(answer) for span in allowed)]


def unproven(answers: Iterable[Answered], history: History) -> list[Answered]:
    """The answers from versions that were not promoted by then, or never were."""
    since: dict[int, datetime] = {}
    for entry in history.entries:
        if entry.event in GIVEN_TRAFFIC:
            since.setdefault(entry.version, entry.at)
    return [each for each in answers if each.version not in since or each.at < since[each.version]]


def seconds(answers: Sequence[Answered]) -> float:
    """From the first to the last."""
    return (answers[-1].at - answers[0].at).total_seconds() if answers else 0.0


def seconds_after(moment: datetime, answers: Sequence[Answered]) -> float:
    """How long after a moment the last came; 0 where all came before."""
    return max((answers[-1].at - moment).total_seconds(), 0.0) if answers else 0.0
