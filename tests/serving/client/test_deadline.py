"""How the time of a request is shared out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client.deadline import Deadline
from tests.serving.client.test_picker import Clock


@given(st.floats(0.001, 1000), st.lists(st.floats(0, 500), max_size=5))
def test_an_attempt_gets_a_third_and_never_more_than_is_left(seconds: float, waits: list[float]) -> None:
    clock = Clock()
    deadline = Deadline(seconds, now=clock)
    for wait in waits:
        clock.now += wait

        assert deadline.for_attempt() <= deadline.left()
        assert deadline.for_attempt() <= seconds / 3


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="give a request a time above 0"):
        Deadline(seconds)
