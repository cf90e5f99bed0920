"""Which replicas there are."""

import pytest

from serving.fleet.fleet import Group, GroupedFleet, parse_fleet
from serving.fleet.sources import parse_source


def test_a_list_of_replicas() -> None:
    fleet = parse_fleet("a:8500, [::1]:8501,")

    assert ("a:8500", "[::1]:8501") == tuple(fleet.addresses())
    assert 2 == fleet.expected


def test_more_may_be_expected_than_are_listed() -> None:
    assert 3 == parse_fleet("a:1,b:1", expected=3).expected


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("is empty", " , "),
        ("replica 'a' is not host:port", "a,b:1"),
        ("http:// is not a known source of replicas. Known: static://, dns://", "http://a:1"),
        ("stands twice", "a:1,b:1,a:1"),
    ],
)
def test_what_is_no_fleet_is_refused_with_the_reason(reason: str, text: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_fleet(text)


def in_groups(*, ring: str | None = None, **sources: str) -> GroupedFleet:
    """Each group should have as many replicas as it lists."""
    groups = [(name, parse_source(source)) for name, source in sources.items()]
    return GroupedFleet(tuple(Group(name, source, source.size or 1) for name, source in groups), ring=ring)


def test_a_replica_of_two_groups_counts_in_the_first() -> None:
    fleet = in_groups(all="a:1,b:1", extra="b:1")
    addresses = fleet.fresh_addresses()

    assert ("a:1", "b:1") == tuple(addresses)
    assert fleet.shortfall(addresses).startswith("only 0 of 1 replicas of group extra are listed by static://b:1")


def test_a_replica_of_two_groups_counts_in_the_first_ring_wherever_that_stands() -> None:
    """So it is the other group that has too few, and the first ring is whole."""
    fleet = in_groups(ring="first", all="a:1,b:1", first="b:1")

    assert fleet.shortfall(fleet.fresh_addresses()).startswith("only 1 of 2 replicas of group all are listed by")
    assert fleet.first_ring is not None
    assert "" == fleet.first_ring.shortfall(fleet.first_ring.fresh_addresses())


def test_groups_that_share_no_replica_are_whole() -> None:
    fleet = in_groups(ring="first", all="a:1,c:1", first="b:1")

    assert "" == fleet.shortfall(fleet.fresh_addresses())
