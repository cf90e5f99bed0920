"""Which errors are followed by another attempt, on which replica, and for how long."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_the_first_attempt_has_half_of_what_is_left_and_the_second_one_all() -> None:
    clock = Clock()
    attempts = Attempts(picker_of(Clock(), A, B), timeout=6, now=clock)
    assert 2 == attempts.part
    clock.now += 1
    first = attempts.first()
    clock.now += 0.5
    second = attempts.after(first, error(UnreachableError, first))

    assert (2.5, 4.5) == (first.seconds, second.seconds)


def resting(*addresses: str) -> Picker:
    """A picker of A and B, of which these have failed."""
    picker = picker_of(Clock(), A, B)
    picks = [picker.pick(), picker.pick()]
    for pick in picks:
        if pick is not None and pick.address in addresses:
            picker.failed(pick)
    return picker


@pytest.mark.parametrize(
    ("picker", "seconds"),
    [
        (picker_of(Clock(), A), 6),
        (picker_of(Clock(), A, B), 3),
        (resting(B), 6),
        # None is more likely to answer than the other.
        (resting(A, B), 3),
    ],
    ids=["alone", "two", "the other rests", "both rest"],
)
def test_a_replica_without_another_that_works_has_all_the_time(picker: Picker, seconds: float) -> None:
    assert seconds == Attempts(picker, timeout=6, now=Clock()).first().seconds


def test_replicas_that_have_not_been_probed_yet_are_some_to_ask() -> None:
    picker = Picker(now=Clock())
    picker.update([A, B])

    assert 3 == Attempts(picker, timeout=6, now=Clock()).first().seconds


def test_a_lone_replica_that_broke_the_connection_has_all_that_is_left() -> None:
    clock = Clock()
    attempts = Attempts(picker_of(Clock(), A), timeout=6, now=clock)
    first = attempts.first()
    clock.now += 0.5

    assert 5.5 == attempts.after(first, error(ConnectionLostError, first)).seconds


def test_an_attempt_that_took_all_the_time_is_the_last_one_and_counts() -> None:
    """Another, which rests, could only be asked for nothing; and that none answered must stop further requests."""
    picker, breaker, budget = resting(B), CircuitBreaker(now=Clock()), RetryBudget(now=Clock())
    attempts = Attempts(picker, timeout=6, now=Clock(), breaker=breaker, budget=budget, fair_seconds=0.9)
    first = attempts.first()
    with pytest.raises(TooSlowError, match=A):
        attempts.after(first, error(TooSlowError, first))

    assert [1, 1] == [each.failures for each in picker.states()]
    alone = picker_of(Clock(), A)
    assert {"TooSlowError 1"} == set(outcomes(TooSlowError, FEWEST_FAILURES - 1, picker=alone, breaker=breaker))
    with pytest.raises(CircuitOpenError):
        breaker.admit()


KINDS = (UnreachableError, ConnectionLostError, TooSlowError, OverloadedError, NotServedError, ServerFaultError)


@given(
    timeout=st.floats(0.01, 100),
    listing=st.floats(0, 1),
    replicas=st.tuples(st.integers(1, 4), st.integers(0, 4)),
    kind=st.sampled_from(KINDS),
    used=st.floats(0, 1),
)
def test_the_time_is_shared_out_without_a_rest_and_without_more_than_there_is(
    timeout: float, listing: float, replicas: tuple[int, int], kind: type[ServingError], used: float
) -> None:
    """Whatever the list of replicas took, up to a third, and whatever the first attempt ends with, and when."""
    count, failed = replicas
    clock, addresses = Clock(), [f"{name}:1" for name in "abcd"[:count]]
    picker = picker_of(Clock(), *addresses)
    for pick in [picker.pick() for _ in addresses][:failed]:
        assert pick is not None
        picker.failed(pick)
    end = clock.now + timeout
    attempts = Attempts(picker, timeout=timeout, now=clock)
    clock.now += listing * attempts.part
    first = attempts.first()
    begun = clock.now
    clock.now += first.seconds * (1 if kind is TooSlowError else used)

    # A third at least is what `Traffic` calls fair.
    assert timeout / 3 == pytest.approx(min(first.seconds, timeout / 3))
    assert begun + first.seconds <= end + 1e-6
    assert not first.last or first.seconds == pytest.approx(end - begun)
    try:
        second = attempts.after(first, error(kind, first))
    except ServingError:
        assert first.last or kind is not TooSlowError
        return
    assert second.last
    assert second.seconds == pytest.approx(end - clock.now, abs=1e-6)
    assert first.last or timeout / 3 == pytest.approx(min(second.seconds, timeout / 3))
    with pytest.raises(kind):
        attempts.after(second, error(kind, second))


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

    assert [kind.__name__] * FEWEST_FAILURES + ["CircuitOpenError"] == [each.split()[0] for each in found]


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
