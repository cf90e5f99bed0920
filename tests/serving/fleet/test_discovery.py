"""How old a list of replicas may be, and what a source that fails means."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.errors import DiscoveryError
from serving.fleet.discovery import Discovery
from serving.fleet.fleet import Group, GroupedFleet, parse_fleet


class ChangingSource:
    """A source whose list and state a test changes; it counts how often it is asked."""

    def __init__(self, *members: str, uri: str = "changing://a") -> None:
        self.uri = uri
        self.size = None
        self.members = members
        self.fails = False
        self.asked = 0

    def addresses(self) -> tuple[str, ...]:
        self.asked += 1
        if self.fails:
            raise DiscoveryError(f"{self.uri} is away")
        return self.members

    def too_few(self, found: int) -> str:
        return f"Found {found}"


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds


def test_a_source_is_asked_once_a_second_at_most() -> None:
    source, time = ChangingSource("a:1"), Time()
    discovery = Discovery(source, now=time.now)
    discovery.current()
    source.members = ("b:1",)

    time.seconds += 0.9
    assert ("a:1",) == discovery.current()
    time.seconds += 0.1
    assert ("b:1",) == discovery.current()
    assert 2 == source.asked


def test_a_fresh_list_is_asked_for_now_and_used_by_all() -> None:
    source, time = ChangingSource("a:1"), Time()
    discovery = Discovery(source, now=time.now)
    discovery.current()
    source.members = ("b:1",)

    assert ("b:1",) == discovery.fresh()
    assert ("b:1",) == discovery.current()


def test_while_a_source_fails_its_last_list_is_used_for_a_minute_but_is_not_fresh() -> None:
    source, time = ChangingSource("a:1"), Time()
    discovery = Discovery(source, now=time.now)
    discovery.current()
    source.fails = True

    time.seconds += 60.0
    assert ("a:1",) == discovery.current()
    with pytest.raises(DiscoveryError, match="changing://a is away"):
        discovery.fresh()
    time.seconds += 1.0
    with pytest.raises(DiscoveryError, match="changing://a is away"):
        discovery.current()


def test_a_source_that_fails_is_asked_once_a_second_too() -> None:
    source, time = ChangingSource(), Time()
    source.fails = True
    discovery = Discovery(source, now=time.now)
    for _ in range(3):
        with pytest.raises(DiscoveryError):
            discovery.current()

    assert 1 == source.asked


def test_an_empty_list_is_an_answer_and_replaces_the_last_one() -> None:
    source, time = ChangingSource("a:1"), Time()
    discovery = Discovery(source, now=time.now)
    discovery.current()
    source.members = ()
    time.seconds += 1.0

    assert () == discovery.current()


def test_threads_that_ask_at_once_share_one_answer() -> None:
    source, time = ChangingSource("a:1"), Time()
    gate = threading.Barrier(8)
    discovery = Discovery(source, now=time.now)

    def ask(_: int) -> tuple[str, ...]:
        gate.wait()
        return tuple(discovery.current())

    with ThreadPoolExecutor(8) as pool:
        assert [("a:1",)] * 8 == list(pool.map(ask, range(8)))
    assert 1 == source.asked


def test_a_slow_answer_does_not_replace_one_that_was_asked_later() -> None:
    time, slow, released = Time(), threading.Event(), threading.Event()

    class SlowOnce(ChangingSource):
        def addresses(self) -> tuple[str, ...]:
            before = self.members
            if threading.current_thread() is not threading.main_thread():
                slow.set()
                assert released.wait(10)
            return before

    source = SlowOnce("a:1")
    discovery = Discovery(source, now=time.now)
    with ThreadPoolExecutor(1) as pool:
        asked_first = pool.submit(discovery.fresh)
        assert slow.wait(10)
        source.members, time.seconds = ("b:1",), 101.0
        discovery.fresh()
        released.set()
        asked_first.result()

    assert ("b:1",) == discovery.current()


def test_a_group_with_too_many_does_not_fill_up_another() -> None:
    few, many = ChangingSource(uri="x://few"), ChangingSource("a:1", "b:1", "c:1", "d:1", uri="x://many")
    fleet = GroupedFleet((Group("first", few, 1), Group("rest", many, 3)))

    assert "only 0 of 1 replicas of group first are listed by x://few. Found 0" == fleet.shortfall(fleet.addresses())


def test_a_replica_of_two_groups_is_one_replica_of_the_first() -> None:
    both = GroupedFleet((Group("first", ChangingSource("a:1"), 1), Group("rest", ChangingSource("a:1", "b:1"), 2)))

    assert ("a:1", "b:1") == both.addresses()
    assert "only 1 of 2 replicas of group rest" in both.shortfall(both.addresses())


def test_enough_in_every_group_is_enough() -> None:
    fleet = GroupedFleet((Group("first", ChangingSource("a:1"), 1), Group("rest", ChangingSource("b:1", "c:1"), 2)))

    assert "" == fleet.shortfall(fleet.addresses())


def test_one_source_that_fails_fails_the_fleet() -> None:
    """Which replicas exist is not known then; a part of them is not the fleet."""
    good, away = ChangingSource("a:1"), ChangingSource("b:1")
    away.fails = True
    fleet = GroupedFleet((Group("first", good, 1), Group("rest", away, 1)))

    with pytest.raises(DiscoveryError):
        fleet.addresses()


def test_a_list_that_is_too_short_says_what_to_add() -> None:
    fleet = parse_fleet("a:1,b:1", expected=3)

    assert (
        "only 2 of 3 replicas are listed by static://a:1,b:1. Add the replicas that are missing to the list"
    ) == fleet.shortfall(fleet.addresses())
