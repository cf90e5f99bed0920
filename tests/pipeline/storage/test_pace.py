"""Writes of the same object are kept apart; the time is that of the test."""

import threading
from concurrent.futures import ThreadPoolExecutor

from pipeline.storage.pace import Pace


class Time:
    """Goes on only where somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_the_first_turn_waits_for_nothing() -> None:
    time = Time()

    with Pace(1, clock=time.clock, sleep=time.sleep).turn("a"):
        pass

    assert [] == time.slept


def test_the_next_turn_waits_for_the_rest_of_the_second() -> None:
    """Counted from the end of the last one, which is when Google had the write at the latest."""
    time = Time()
    pace = Pace(1, clock=time.clock, sleep=time.sleep)
    with pace.turn("a"):
        time.now += 10
    time.now += 0.25
    with pace.turn("a"):
        pass

    assert [0.75] == time.slept


def test_a_turn_that_failed_counts() -> None:
    time = Time()
    pace = Pace(1, clock=time.clock, sleep=time.sleep)
    try:
        with pace.turn("a"):
            raise ValueError
    except ValueError:
        pass
    with pace.turn("a"):
        pass

    assert [1] == time.slept


def test_another_object_has_a_pace_of_its_own() -> None:
    time = Time()
    pace = Pace(1, clock=time.clock, sleep=time.sleep)
    for key in ("a", "b", "c"):
        with pace.turn(key):
            pass

    assert [] == time.slept


def test_those_who_come_at_once_take_turns() -> None:
    time = Time()
    pace = Pace(1, clock=time.clock, sleep=time.sleep)
    inside: list[int] = []
    barrier = threading.Barrier(4)

    def take_a_turn(number: int) -> None:
        barrier.wait()
        with pace.turn("a"):
            inside.append(number)
            assert [number] == inside
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_a_turn, range(4)))

    assert [1, 1, 1] == time.slept
