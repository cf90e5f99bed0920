"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.security.rates import Rates, retry_after
from tests.serving.gateway.asking import Clock

RATES = st.floats(0.001, 1000.0)


@given(RATES, st.lists(st.floats(0.0, 5.0), max_size=60))
def test_no_history_gets_more_than_a_second_s_worth_and_the_rate(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    passed = 0
    for pause in pauses:
        clock.passes(pause)
        passed += rates.wait_seconds("alice", rate) == 0.0

    assert passed <= max(1.0, rate) + rate * sum(pauses) + 1e-6


@given(RATES, st.integers(0, 1100))
def test_who_waits_as_long_as_was_said_passes(rate: float, before: int) -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    for _ in range(before):
        rates.wait_seconds("alice", rate)
    wait = rates.wait_seconds("alice", rate)
    clock.passes(wait * (1 + 1e-9) + 1e-9)

    assert wait <= 1 / rate
    assert rates.wait_seconds("alice", rate) == 0.0 or wait == 0.0


def test_silence_saves_up_no_more_than_a_second_s_worth() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    rates.wait_seconds("alice", 3.0)
    clock.passes(3600)
    waits = [rates.wait_seconds("alice", 3.0) for _ in range(4)]

    assert [wait == 0.0 for wait in waits] == [True, True, True, False]


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    waits = [rates.wait_seconds("alice", 1.0) for _ in range(5)]

    assert waits == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_one_s_rate_is_nothing_to_another() -> None:
    rates = Rates(clock=Clock())
    waits = [rates.wait_seconds(name, 1.0) for name in ("alice", "alice", "bob")]

    assert waits == [0.0, 1.0, 0.0]


def test_a_new_rate_holds_from_the_next_request_on() -> None:
    clock = Clock()
    rates = Rates(clock=clock)
    rates.wait_seconds("alice", 1.0)

    assert rates.wait_seconds("alice", 0.5) == 2.0


@given(st.lists(st.integers(0, 30), max_size=100))
def test_memory_is_bounded_whatever_names_come(names: list[int]) -> None:
    rates = Rates(clock=Clock(), largest=8)
    for name in names:
        rates.wait_seconds(str(name), 1.0)

    assert len(rates) <= 8


def test_who_asked_longest_ago_is_forgotten_and_not_who_came_last() -> None:
    rates = Rates(clock=Clock(), largest=8)
    for number in range(9):
        rates.wait_seconds(str(number), 1.0)

    assert rates.wait_seconds("8", 1.0) > 0
    assert rates.wait_seconds("0", 1.0) == 0.0


def test_who_asks_often_is_not_forgotten() -> None:
    rates = Rates(clock=Clock(), largest=8)
    for number in range(20):
        rates.wait_seconds("alice", 1.0)
        rates.wait_seconds(str(number), 1.0)

    assert rates.wait_seconds("alice", 1.0) > 0


@pytest.mark.parametrize(("seconds", "value"), [(0.01, b"1"), (1.0, b"1"), (1.2, b"2"), (1000.0, b"1000")])
def test_retry_after_is_in_whole_seconds_and_never_too_soon(seconds: float, value: bytes) -> None:
    assert value == retry_after(seconds)
