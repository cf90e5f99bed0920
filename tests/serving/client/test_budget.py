"""How many requests are sent again, with a clock that stands still until a test moves it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.client.budget import MOST_EARNED, RESERVE, RESERVE_PER_SECOND, SHARE, RetryBudget
from tests.serving.client.test_picker import Clock


def retries(budget: RetryBudget, wanted: int) -> int:
    return sum(budget.may_retry() for _ in range(wanted))


def test_a_client_that_begins_has_a_reserve() -> None:
    assert 10 == retries(RetryBudget(now=Clock()), 100)


def test_five_requests_earn_a_retry() -> None:
    budget = RetryBudget(now=Clock())
    retries(budget, 100)
    for _ in range(5):
        assert not budget.may_retry()
        budget.asked()

    assert 1 == retries(budget, 100)


def test_the_reserve_comes_back_with_time() -> None:
    clock = Clock()
    budget = RetryBudget(now=clock)
    retries(budget, 100)
    clock.now += 3.5

    assert 3 == retries(budget, 100)
    clock.now += 1000
    assert 10 == retries(budget, 100)


def test_requests_of_long_ago_do_not_allow_a_storm() -> None:
    budget = RetryBudget(now=Clock())
    for _ in range(100_000):
        budget.asked()

    assert MOST_EARNED + RESERVE == retries(budget, 10_000)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(0, 5)), max_size=30))
def test_retries_are_never_more_than_the_share_and_the_reserve(steps: list[tuple[int, int, float]]) -> None:
    """...nor are they refused while less than a retry's worth is missing."""
    clock = Clock()
    budget = RetryBudget(now=clock)
    asked, retried, begun = 0, 0, clock.now
    for requests, wanted, seconds in steps:
        for _ in range(requests):
            budget.asked()
        asked += requests
        got = retries(budget, wanted)
        retried += got
        allowed = SHARE * asked + RESERVE + RESERVE_PER_SECOND * (clock.now - begun)

        assert retried <= allowed + 1e-3
        assert got == wanted or retried > SHARE * asked - 1
        clock.now += seconds
