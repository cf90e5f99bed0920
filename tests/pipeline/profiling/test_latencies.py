"""Percentiles from a histogram."""

import math
import random

import pytest

from pipeline.profiling.latencies import Latencies


def latencies(*seconds: float) -> Latencies:
    found = Latencies()
    for each in seconds:
        found.add(each)
    return found


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9])
def test_a_percentile_is_at_most_two_percent_above_that_of_the_list(percent: float) -> None:
    chance = random.Random(1)  # noqa: S311 - numbers
    seconds = sorted(chance.lognormvariate(-5, 1.5) for _ in range(20_000))
    exact = seconds[math.ceil(len(seconds) * percent / 100) - 1]

    assert exact <= latencies(*seconds).percentile(percent) <= exact * 1.0201


def test_the_largest_is_exact() -> None:
    assert 0.123456 == latencies(0.001, 0.123456, 0.01).percentile(100)


def test_of_one_latency_every_percentile_is_that_one() -> None:
    assert [0.5, 0.5] == [latencies(0.5).percentile(percent) for percent in (0, 99.9)]


def test_without_a_latency_there_is_no_percentile() -> None:
    assert math.isnan(Latencies().percentile(50))


def test_one_of_a_hundred_is_beyond_the_99th_percentile_and_the_maximum() -> None:
    found = latencies(*[0.001] * 99, 9.0)

    assert found.percentile(99) < 0.00103
    assert 9.0 == found.percentile(99.9)


def test_latencies_outside_the_bins_count() -> None:
    found = latencies(-1.0, 0.0, 5000.0)

    assert 3 == found.count
    assert 5000.0 == found.percentile(99)
    assert found.percentile(50) <= 1e-5
