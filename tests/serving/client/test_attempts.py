"""Which errors are followed by another attempt, on which replica, and for how long."""

from contextlib import suppress

import pytest

from serving.client.attempts import Attempt, Attempts
from serving.client.breaker import FEWEST_FAILURES, CircuitBreaker
from serving.client.budget import RESERVE, RetryBudget
from serving.client.outliers import FEWEST_FAILURES as FEWEST_OF_ONE
from serving.client.picker import Picker
from serving.errors import (
    CircuitOpenError,
    ConnectionLostError,
    NotServedError,
    OverloadedError,
    RefusedError,
    ServerFaultError,
    ServingError,
    TooSlowError,
    UnreachableError,
)
from tests.serving.client.test_picker import A, B, C, Clock, picker_of


def error(kind: type[ServingError], attempt: Attempt) -> ServingError:
    return kind(attempt.address, "the server's words")


@pytest.mark.parametrize("kind", [UnreachableError, ConnectionLostError, TooSlowError, OverloadedError, NotServedError])
def test_another_replica_is_asked_once(kind: type[ServingError]) -> None:
    attempts = Attempts(picker_of(Clock(), A, B), timeout=6)
    first = attempts.first()
    second = attempts.after(first, error(kind, first))

    assert [A, B] == [first.address, second.address]
    with pytest.raises(kind, match=B) as raised:
        attempts.after(second, error(kind, second))
    assert ["The attempt before it failed too: a:1: the server's words"] == raised.value.__notes__


@pytest.mark.parametrize("kind", [RefusedError, ServerFaultError])
def test_what_a_replica_has_refused_or_failed_on_is_not_asked_again(kind: type[ServingError]) -> None:
    attempts = Attempts(picker_of(Clock(), A, B), timeout=6)
    first = attempts.first()
    with pytest.raises(kind):
        attempts.after(first, error(kind, first))


@pytest.mark.parametrize("kind", [UnreachableError, TooSlowError, OverloadedError, NotServedError])
def test_a_lone_replica_is_not_asked_again(kind: type[ServingError]) -> None:
    attempts = Attempts(picker_of(Clock(), A), timeout=6)
    first = attempts.first()
    with pytest.raises(kind):
        attempts.after(first, error(kind, first))


def test_a_lone_replica_is_asked_again_over_a_new_connection_if_the_old_one_broke() -> None:
    attempts = Attempts(picker_of(Clock(), A), timeout=6)
    first = attempts.first()

    assert A == attempts.after(first, error(ConnectionLostError, first)).address


def test_a_replica_that_rests_is_asked_after_a_failure_but_not_after_an_answer() -> None:
    """That a version is not there is an answer; a likely failure would hide it."""
    picker = picker_of(Clock(), A, B)
    resting = picker.pick()
    assert resting is not None
    picker.failed(resting)
    answered, failed = Attempts(picker, timeout=6), Attempts(picker, timeout=6)
    first = answered.first()
    with pytest.raises(NotServedError):
        answered.after(first, error(NotServedError, first))
    first = failed.first()

    assert A == failed.after(first, error(UnreachableError, first)).address


@pytest.mark.parametrize(
    ("kind", "rests"),
    [
        (UnreachableError, True),
        (TooSlowError, True),
        (OverloadedError, False),
        (NotServedError, False),
        (RefusedError, False),
    ],
)
def test_only_a_replica_that_cannot_be_reached_rests(kind: type[ServingError], *, rests: bool) -> None:
    """Nobody's wrong request must keep a replica from others."""
    picker = picker_of(Clock(), A, B)
    attempts = Attempts(picker, timeout=6)
    first = attempts.first()
    with suppress(RefusedError):
        attempts.after(first, error(kind, first))
    picks = [picker.pick() for _ in range(4)]

    assert rests == (A not in {pick.address for pick in picks if pick})


def test_an_attempt_has_a_third_of_the_time_and_never_more_than_is_left() -> None:
    clock = Clock()
    attempts = Attempts(picker_of(Clock(), A, B), timeout=6, now=clock)
    assert 2 == attempts.part
    clock.now += 2
    first = attempts.first()
    clock.now += 2.5
    second = attempts.after(first, error(UnreachableError, first))

    assert (2, 1.5) == (first.seconds, second.seconds)


def test_an_answer_ends_the_rest_of_a_replica() -> None:
    picker = Picker(now=Clock())
    picker.update([A])
    attempts = Attempts(picker, timeout=6)
    attempts.answered(attempts.first())

    assert [] == picker.to_probe()


def outcomes(
    kind: type[ServingError] | None,
    count: int,
    *,
    picker: Picker | None = None,
    budget: RetryBudget | None = None,
    breaker: CircuitBreaker | None = None,
    timeout: float = 6.0,
    fair_seconds: float = 0.0,
) -> list[str]:
    """What so many requests end with, and whether they were sent again, if each attempt ends with this error."""
    picker, found = picker or picker_of(Clock(), A, B, C), []
    for _ in range(count):
        attempts = Attempts(picker, timeout=timeout, budget=budget, breaker=breaker, fair_seconds=fair_seconds)
        sent = 0
        try:
            attempt = attempts.first()
            while kind is not None:
                sent += 1
                attempt = attempts.after(attempt, error(kind, attempt))
            attempts.answered(attempt)
            found.append("answered")
        except ServingError as raised:
            found.append(f"{type(raised).__name__} {sent}")
    return found


def test_a_fleet_that_fails_gets_few_requests_twice() -> None:
    """...and a request that was sent once only says so."""
    budget = RetryBudget(now=Clock())
    found = [outcome for _ in range(100) for outcome in outcomes(UnreachableError, 1, budget=budget)]

    assert RESERVE + 100 / 5 == found.count("UnreachableError 2")
    assert 100 - RESERVE - 100 / 5 == found.count("UnreachableError 1")
    attempts = Attempts(picker_of(Clock(), A, B), timeout=6, budget=budget)
    first = attempts.first()
    with pytest.raises(UnreachableError) as raised:
        attempts.after(first, error(UnreachableError, first))
    assert ["It was not sent again: more than a fifth of the requests have failed"] == raised.value.__notes__


def test_a_version_that_is_not_there_yet_takes_nothing_from_the_budget() -> None:
    """Such answers cost a replica nothing, and in a roll-out half of a fleet may give them for a while."""
    budget = RetryBudget(now=Clock())

    assert {"NotServedError 2"} == set(outcomes(NotServedError, 200, budget=budget))


@pytest.mark.parametrize("kind", [UnreachableError, ConnectionLostError, TooSlowError])
def test_requests_are_stopped_when_no_replica_answers(kind: type[ServingError]) -> None:
    found = outcomes(kind, FEWEST_FAILURES + 1, breaker=CircuitBreaker(now=Clock()))

    assert [f"{kind.__name__} 2"] * FEWEST_FAILURES + ["CircuitOpenError 0"] == found


@pytest.mark.parametrize("kind", [RefusedError, NotServedError, ServerFaultError, OverloadedError])
def test_answers_of_whatever_kind_stop_no_requests(kind: type[ServingError]) -> None:
    assert "CircuitOpenError 0" not in outcomes(kind, 50, breaker=CircuitBreaker(now=Clock()))


def test_a_trial_that_a_replica_refuses_ends_the_stop() -> None:
    clock = Clock()
    breaker = CircuitBreaker(now=clock)
    outcomes(UnreachableError, FEWEST_FAILURES, breaker=breaker)
    clock.now += 1
    assert ["RefusedError 1"] == outcomes(RefusedError, 1, breaker=breaker)

    assert ["answered"] * 5 == outcomes(None, 5, breaker=breaker)


def test_a_caller_that_has_little_time_spoils_nothing_for_others() -> None:
    """Its requests end at their deadline, and say nothing about the replicas."""
    picker, breaker = picker_of(Clock(), A, B, C), CircuitBreaker(now=Clock())
    found = outcomes(TooSlowError, 50, picker=picker, breaker=breaker, timeout=0.3, fair_seconds=0.9)

    assert {"TooSlowError 2", "TooSlowError 1"} >= set(found)
    assert [True] * 3 == [each.usable for each in picker.states()]
    outcomes(UnreachableError, 50, picker=picker, breaker=breaker, timeout=0.3, fair_seconds=0.9)
    with pytest.raises(CircuitOpenError):
        breaker.admit()


def test_a_replica_that_fails_on_many_requests_rests_if_the_others_do_not() -> None:
    """It answers, so it does not count as one that cannot be reached."""
    picker = picker_of(Clock(), A, B, C)
    outcomes(None, 60, picker=picker)
    asked = []
    for _ in range(60):
        attempts = Attempts(picker, timeout=6)
        attempt = attempts.first()
        asked.append(attempt.address)
        if attempt.address == B:
            with suppress(ServerFaultError):
                attempts.after(attempt, error(ServerFaultError, attempt))
        else:
            attempts.answered(attempt)

    # A fifth of all its requests.
    assert FEWEST_OF_ONE == asked.count(B)
    (state,) = [each for each in picker.states() if each.address == B]
    assert (False, 0, 10.0) == (state.usable, state.failures, state.rests_seconds)
