"""Which replicas there are."""

import pytest

from serving.fleet.fleet import parse_fleet


def test_a_list_of_replicas() -> None:
    fleet = parse_fleet("a:8500, [::1]:8501,")

    assert ("a:8500", "[::1]:8501") == tuple(fleet.addresses())
    assert 2 == fleet.expected


def test_more_may_be_expected_than_are_listed() -> None:
    assert 3 == parse_fleet("a:1,b:1", expected=3).expected


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("is empty", " , "),
        ("replica 'a' is not host:port", "a,b:1"),
        ("http:// is not a known source of replicas. Known: static://, dns://", "http://a:1"),
        ("stands twice", "a:1,b:1,a:1"),
    ],
)
def test_what_is_no_fleet_is_told(told: str, text: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_fleet(text)
