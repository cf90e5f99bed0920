import itertools
import threading
import time

from serving.model_server.lifecycle.periodic_function import PeriodicFunction
from tests.serving.model_server.world import eventually


def test_the_first_turn_is_at_once() -> None:
    turned = threading.Event()
    periodic = PeriodicFunction(turned.set, seconds=3600, name="periodic under test")
    periodic.start()

    assert turned.wait(10)
    periodic.stop()


def test_turns_begin_at_least_an_interval_apart() -> None:
    begun: list[float] = []
    periodic = PeriodicFunction(lambda: begun.append(time.monotonic()), seconds=0.1, name="periodic under test")
    periodic.start()
    eventually(lambda: len(begun) == 3)
    periodic.stop()

    assert all(later - earlier > 0.09 for earlier, later in itertools.pairwise(begun))


def test_a_turn_longer_than_the_interval_is_followed_by_the_next() -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        time.sleep(0.02)

    periodic = PeriodicFunction(turn, seconds=0.001, name="periodic under test")
    periodic.start()
    eventually(lambda: len(turns) >= 3)
    periodic.stop()


def test_a_turn_that_fails_is_logged_and_the_next_one_comes() -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        raise ZeroDivisionError("in a turn")

    periodic = PeriodicFunction(turn, seconds=0.01, name="periodic under test")
    periodic.start()
    eventually(lambda: len(turns) >= 3)
    periodic.stop()
