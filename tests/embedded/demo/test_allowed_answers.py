"""Recorded answers against a journal, both made for the test."""

from datetime import UTC, datetime, timedelta

from embedded.demo import allowed_answers
from embedded.demo.traffic import RecordedAnswer
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.journal.state import State, newest

RING, REST = "127.0.0.1:8500", "127.0.0.1:8510"
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


def disallowed(moments: list[tuple[float, int]], *, pinned: bool) -> list[tuple[float, int]]:
    answers = [RecordedAnswer(at(seconds), version, address=REST) for seconds, version in moments]
    found = allowed_answers.disallowed(
        answers,
        HISTORY,
        first_ring={RING},
        answering=(lambda state, first_ring: state.serving) if pinned else newest,  # noqa: ARG005 - as in the roll-out
        max_switch_seconds=lambda _: 2.0,
    )
    return [((answer.at - START).total_seconds(), answer.version) for answer in found]


def test_in_the_pinned_roll_out_no_answer_may_come_from_a_candidate() -> None:
    good = [(11.0, 1), (25.0, 1), (49.0, 1), (52.0, 1), (50.5, 3), (99.0, 3)]

    assert [] == disallowed(good, pinned=True)
    assert [(20.5, 2), (49.9, 3)] == disallowed([*good, (20.5, 2), (49.9, 3)], pinned=True)


def test_in_the_latest_roll_out_a_candidate_may_answer_until_the_next_version_is_loaded() -> None:
    good = [(20.1, 2), (22.0, 1), (31.9, 2), (32.1, 1), (40.1, 3), (42.0, 1), (60.0, 3)]

    assert [] == disallowed(good, pinned=False)
    bad = [(19.9, 2), (32.1, 2), (39.9, 3), (42.1, 1)]
    assert bad == disallowed([*good, *bad], pinned=False)


def test_a_candidate_in_the_first_ring_alone_may_answer_there_only() -> None:
    """...in the latest roll-out; on the other replicas it may once it is exposed to them."""
    history = History(
        (
            entry(1, Event.PROMOTED, 1, serving=1),
            entry(2, Event.EXPOSED, 2, serving=1, candidate=2, first_ring_only=True),
            entry(3, Event.EXPOSED_EVERYWHERE, 2, serving=1, candidate=2),
        )
    )
    moments = (20.5, 29.9, 30.1)
    answers = [RecordedAnswer(at(seconds), 2, address=address) for address in (RING, REST) for seconds in moments]

    found = allowed_answers.disallowed(
        answers, history, first_ring={RING}, answering=newest, max_switch_seconds=lambda _: 2.0
    )

    assert [(REST, at(20.5)), (REST, at(29.9))] == [(each.address, each.at) for each in found]


def test_answers_before_a_promotion_or_without_one_are_unpromoted() -> None:
    answers = [RecordedAnswer(at(seconds), version) for seconds, version in [(15, 1), (25, 2), (45, 3), (55, 3)]]

    found = allowed_answers.unpromoted(answers, HISTORY)

    assert [2, 3] == [answer.version for answer in found]


def test_times_are_those_of_the_first_and_the_last_answer() -> None:
    answers = [RecordedAnswer(at(seconds), 2) for seconds in (20.5, 21.0, 31.5)]

    assert 11.0 == allowed_answers.duration_seconds(answers)
    assert 1.5 == allowed_answers.seconds_after(at(30), answers)
    assert 0.0 == allowed_answers.seconds_after(at(40), answers)
    assert 0.0 == allowed_answers.duration_seconds([])
    assert 0.0 == allowed_answers.seconds_after(at(40), [])
