"""What users got, held against the journal, in histories that are made up."""

from datetime import UTC, datetime, timedelta

from embedded import promises
from embedded.traffic import Answered, Traffic
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.journal.state import State, newest
from serving.fleet import parse_fleet

START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def entry(seq: int, event: Event, version: int, **state: int) -> Entry:
    """Entry `seq` is written `10 * seq` seconds after the start."""
    return Entry(
        seq=seq,
        at=at(10 * seq),
        event=event,
        version=version,
        run_key="retrain-1",
        actor="ann",
        reason="",
        state=State(**state),
    )


# v1 serves; v2 is exposed and withdrawn; v3 is exposed and promoted.
HISTORY = History(
    (
        entry(1, Event.PROMOTED, 1, serving=1),
        entry(2, Event.EXPOSED, 2, serving=1, candidate=2),
        entry(3, Event.WITHDRAWN, 2, serving=1),
        entry(4, Event.EXPOSED, 3, serving=1, candidate=3),
        entry(5, Event.PROMOTED, 3, serving=3, previous=1),
    )
)


def strays(moments: list[tuple[float, int]], *, dark: bool) -> list[tuple[float, int]]:
    allowed = promises.spans(HISTORY, (lambda state: state.serving) if dark else newest, lambda _: 2.0)
    found = promises.strays([Answered(at(seconds), version) for seconds, version in moments], allowed)
    return [((answer.at - START).total_seconds(), answer.version) for answer in found]


def test_dark_no_answer_may_come_from_a_candidate() -> None:
    fine = [(11.0, 1), (25.0, 1), (49.0, 1), (52.0, 1), (50.5, 3), (99.0, 3)]

    assert [] == strays(fine, dark=True)
    assert [(20.5, 2), (49.9, 3)] == strays([*fine, (20.5, 2), (49.9, 3)], dark=True)


def test_in_traffic_a_candidate_answers_from_its_exposure_until_what_comes_next_is_loaded() -> None:
    fine = [(20.1, 2), (22.0, 1), (31.9, 2), (32.1, 1), (40.1, 3), (42.0, 1), (60.0, 3)]

    assert [] == strays(fine, dark=False)
    bad = [(19.9, 2), (32.1, 2), (39.9, 3), (42.1, 1)]
    assert bad == strays([*fine, *bad], dark=False)


def test_before_its_promotion_or_without_one_an_answer_is_from_an_unproven_version() -> None:
    answers = [Answered(at(seconds), version) for seconds, version in [(15, 1), (25, 2), (45, 3), (55, 3)]]

    found = promises.unproven(answers, HISTORY)

    assert [2, 3] == [answer.version for answer in found]


def test_times_are_those_of_the_first_and_the_last_answer() -> None:
    answers = [Answered(at(seconds), 2) for seconds in (20.5, 21.0, 31.5)]

    assert 11.0 == promises.seconds(answers)
    assert 1.5 == promises.seconds_after(at(30), answers)
    assert 0.0 == promises.seconds_after(at(40), answers)
    assert 0.0 == promises.seconds([])
    assert 0.0 == promises.seconds_after(at(40), [])


def test_an_answer_differs_from_what_another_version_says_of_the_same_image() -> None:
    traffic = Traffic(parse_fleet("127.0.0.1:9"), "digits", [b"one", b"two"], label=None)
    traffic.answers = [
        Answered(at(1), 1, image=0, label="4"),
        Answered(at(2), 1, image=1, label="7"),
        Answered(at(3), 2, image=0, label="5"),
        Answered(at(4), 2, image=1, label="7"),
    ]

    assert 1 == traffic.differing(2, 1)
