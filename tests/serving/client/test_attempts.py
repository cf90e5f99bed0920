"""Which errors are followed by another attempt, on which replica, and for how long."""

from contextlib import suppress

import pytest

from serving.client.attempts import Attempt, Attempts
from serving.client.picker import Picker
from serving.errors import (
    ConnectionLostError,
    NotServedError,
    RefusedError,
    ServerFaultError,
    ServingError,
    UnreachableError,
)
from tests.serving.client.test_picker import A, B, Clock, picker_of


def error(kind: type[ServingError], attempt: Attempt) -> ServingError:
    return kind(attempt.address, "the server's words")


@pytest.mark.parametrize("kind", [UnreachableError, ConnectionLostError, NotServedError])
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


@pytest.mark.parametrize("kind", [UnreachableError, NotServedError])
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


@pytest.mark.parametrize(("kind", "rests"), [(UnreachableError, True), (NotServedError, False), (RefusedError, False)])
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
