"""How the time of a request is shared out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client.deadline import Deadline
from tests.serving.client.test_picker import Clock


@given(st.floats(0.001, 1000), st.lists(st.floats(0, 500), max_size=5))
def test_an_attempt_gets_half_of_what_is_left_if_another_may_follow_and_else_all(
    seconds: float, waits: list[float]
) -> None:
    clock = Clock()
    deadline = Deadline(seconds, now=clock)
    for wait in waits:
        clock.now += wait

        assert deadline.left() == deadline.for_attempt(another=False)
        assert deadline.left() == 2 * deadline.for_attempt(another=True)


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="give a request a time above 0"):
        Deadline(seconds)
