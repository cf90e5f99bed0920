"""When requests to a fleet stop, and how they begin again, with a clock that stands still until a test moves it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.client.breaker import FEWEST_FAILURES, LONGEST_REST_SECONDS, CircuitBreaker
from serving.errors import CircuitOpenError
from tests.serving.client.test_picker import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(breaker: CircuitBreaker, count: int = 1) -> None:
    for _ in range(count):
        breaker.failed(breaker.admit())


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(now=clock)
    fail(breaker, FEWEST_FAILURES)
    return breaker


def seconds_of(breaker: CircuitBreaker) -> float:
    with pytest.raises(CircuitOpenError) as refused:
        breaker.admit()
    return refused.value.seconds


def test_few_failures_stop_nothing(clock: Clock) -> None:
    breaker = CircuitBreaker(now=clock)
    fail(breaker, FEWEST_FAILURES - 1)

    breaker.admit()


def test_it_says_what_happened_and_when_the_next_request_may_be_sent(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 0.25
    with pytest.raises(CircuitOpenError, match=r"no replica answered; the next one is sent in 0\.8 s\. Check") as found:
        breaker.admit()

    assert 0.75 == found.value.seconds


@pytest.mark.parametrize(("good", "opens"), [(0, True), (1, True), (2, False), (9, False)])
def test_nearly_all_requests_must_have_failed(clock: Clock, good: int, *, opens: bool) -> None:
    breaker = CircuitBreaker(now=clock)
    under_way = [breaker.admit() for _ in range(10)]
    for _ in range(good):
        breaker.worked()
    for ticket in under_way:
        breaker.failed(ticket)

    assert opens == _refuses(breaker)


def _refuses(breaker: CircuitBreaker) -> bool:
    try:
        breaker.admit()
    except CircuitOpenError:
        return True
    return False


def test_what_worked_long_ago_does_not_keep_it_closed(clock: Clock) -> None:
    breaker = CircuitBreaker(now=clock)
    for _ in range(10_000):
        breaker.worked()
    for _ in range(50):
        if not _refuses(breaker):
            fail(breaker, 1)
        clock.now += 0.1

    assert _refuses(breaker)


def test_single_trials_follow_after_ever_longer_rests(clock: Clock) -> None:
    breaker = opened(clock)
    rests = []
    for _ in range(5):
        rests.append(seconds_of(breaker))
        clock.now += rests[-1]
        ticket = breaker.admit()
        assert _refuses(breaker)
        breaker.failed(ticket)

    assert [1, 2, 4, 5, 5] == rests
    assert LONGEST_REST_SECONDS == rests[-1]


def test_a_trial_that_works_lets_all_requests_through(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 1
    breaker.admit()
    breaker.worked()

    assert [False] * 100 == [_refuses(breaker) for _ in range(100)]
    fail(breaker, FEWEST_FAILURES - 1)
    assert not _refuses(breaker)


def test_a_trial_whose_outcome_is_never_reported_is_followed_by_another(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 1
    breaker.admit()

    assert 1 == seconds_of(breaker)
    clock.now += 1
    breaker.admit()


def test_requests_from_before_it_opened_do_not_lengthen_the_rest(clock: Clock) -> None:
    breaker = CircuitBreaker(now=clock)
    under_way = [breaker.admit() for _ in range(100)]
    for ticket in under_way:
        breaker.failed(ticket)

    assert 1 == seconds_of(breaker)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["works", "fails", "is lost"]), st.floats(0, 3)), max_size=60))
def test_a_fleet_is_tried_again_whatever_came_before(steps: list[tuple[str, float]]) -> None:
    """...after the longest rest at the latest, and one request that works is enough."""
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    for outcome, seconds in steps:
        clock.now += seconds
        if _refuses(breaker):
            assert 0 < seconds_of(breaker) <= LONGEST_REST_SECONDS
            continue
        if outcome == "works":
            breaker.worked()
        elif outcome == "fails":
            breaker.failed(breaker._epoch)
    clock.now += LONGEST_REST_SECONDS

    breaker.admit()
    breaker.worked()
    assert not _refuses(breaker)
