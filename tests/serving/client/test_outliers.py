"""Which replicas are out, with times that the tests choose."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.client.outliers import FEWEST_FAILURES, FORGOTTEN_SECONDS, LONGEST_SECONDS, MOST_OUT, Outliers

A, B, C, D, E, F = FLEET = ("a:1", "b:1", "c:1", "d:1", "e:1", "f:1")
NOW = 1000.0


def outliers_of(*addresses: str, each: int = 20) -> Outliers:
    """A fleet whose replicas have answered so many requests each."""
    made = Outliers()
    made.update(addresses)
    for address in addresses:
        count(made, address, good=each)
    return made


def count(outliers: Outliers, address: str, *, good: int = 0, bad: int = 0, now: float = NOW) -> None:
    for _ in range(good):
        outliers.count(address, now, good=True)
    for _ in range(bad):
        outliers.count(address, now, good=False)


def out(outliers: Outliers, now: float = NOW, among: Sequence[str] = FLEET) -> list[str]:
    return [each for each in among if outliers.seconds_out(each, now)]


def test_one_that_fails_far_more_often_than_the_others_is_out() -> None:
    outliers = outliers_of(A, B, C)
    count(outliers, B, bad=FEWEST_FAILURES)

    assert [B] == out(outliers)
    assert 10 == outliers.seconds_out(B, NOW)
    assert [] == out(outliers, NOW + 10)


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [(20, 4, "few failures"), (200, 20, "a small part of its requests")],
)
def test_one_that_fails_now_and_then_is_not(good: int, bad: int, reason: str) -> None:
    outliers = outliers_of(A, B, C)
    for _ in range(bad):
        count(outliers, B, good=good // bad, bad=1)

    assert [] == out(outliers), reason


def test_nobody_is_out_if_all_fail() -> None:
    """A new version that is broken fails everywhere; that is no fault of a replica."""
    outliers = outliers_of(A, B, C)
    for _ in range(40):
        for address in (A, B, C):
            count(outliers, address, bad=1)

    assert [] == out(outliers)


@pytest.mark.parametrize(("size", "most"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2)])
def test_at_most_a_third_of_the_fleet_is_out(size: int, most: int) -> None:
    outliers = outliers_of(*FLEET[:size], each=200)
    for address in FLEET[: size - 1] or FLEET[:1]:
        count(outliers, address, bad=60)

    assert FLEET[:most] == tuple(out(outliers))


def test_without_requests_to_others_nobody_is_out() -> None:
    outliers = outliers_of(A, B, C, each=3)
    count(outliers, B, bad=50)

    assert [] == out(outliers)


def test_one_that_returns_is_judged_anew_and_out_for_longer_each_time() -> None:
    outliers, now, seconds = outliers_of(A, B, C), NOW, []
    for _ in range(5):
        for address in (A, C):
            count(outliers, address, good=20, now=now)
        count(outliers, B, bad=FEWEST_FAILURES - 1, now=now)
        assert [] == out(outliers, now)
        count(outliers, B, bad=1, now=now)
        seconds.append(outliers.seconds_out(B, now))
        now += seconds[-1]

    assert [10, 20, 40, 80, 80] == seconds
    assert LONGEST_SECONDS == seconds[-1]
    now += FORGOTTEN_SECONDS
    count(outliers, A, good=20, now=now)
    count(outliers, B, bad=FEWEST_FAILURES, now=now)
    assert 10 == outliers.seconds_out(B, now)


def test_outcomes_of_long_ago_do_not_count() -> None:
    outliers = outliers_of(A, B, C)
    count(outliers, B, bad=FEWEST_FAILURES - 1)
    for address in (A, C):
        count(outliers, address, good=20, now=NOW + 25)
    count(outliers, B, good=1, bad=FEWEST_FAILURES - 1, now=NOW + 25)

    assert [] == out(outliers, NOW + 25)


def test_one_that_is_not_listed_is_ignored() -> None:
    outliers = outliers_of(A, B, C)
    count(outliers, D, bad=50)
    outliers.update([A, C])

    assert [] == out(outliers)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(0, 12), st.floats(0, 8)), max_size=60),
)
def test_most_of_a_fleet_is_always_in(size: int, steps: list[tuple[int, int, int, float]]) -> None:
    outliers, now = Outliers(), NOW
    outliers.update(FLEET[:size])
    for number, good, bad, seconds in steps:
        count(outliers, FLEET[number % size], good=good, bad=bad, now=now)

        assert len(out(outliers, now)) <= MOST_OUT * size
        assert all(outliers.seconds_out(each, now) <= LONGEST_SECONDS for each in FLEET)
        now += seconds
