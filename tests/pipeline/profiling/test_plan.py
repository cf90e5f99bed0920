"""Which points are measured, and for how long."""

import pytest

from pipeline.errors import BadInputError
from pipeline.profiling.measurement import Batching, Loop
from pipeline.profiling.plan import Plan, closed_points, duration, rates_of, whole_numbers

BOTH = (Batching.OFF, Batching.ON)


def plan(
    *,
    batches: tuple[int, ...] = (1, 8),
    concurrencies: tuple[int, ...] = (1, 2, 4),
    rates: tuple[float, ...] = (),
    minutes: float = 10.0,
    latency_limit: float = 1.0,
) -> Plan:
    return Plan(
        batches=batches,
        concurrencies=concurrencies,
        rates=rates,
        seconds=2.0,
        latency_limit=latency_limit,
        minutes=minutes,
    )


def test_each_server_has_a_point_for_each_size_with_each_number_of_clients_and_for_each_rate() -> None:
    assert 2 * (2 * 3 + 5) == plan().points(2)
    assert 1 * (2 * 3 + 2) == plan(rates=(10.0, 20.0)).points(1)


def test_each_point_is_measured_on_all_servers_before_the_next() -> None:
    """So they are compared on the same machine."""
    points = [point for steps in closed_points(plan(), BOTH) for step in steps for point in step]

    assert [Batching.OFF, Batching.ON] * 6 == [point.batching for point in points]
    assert [(1, 1), (1, 1), (1, 2), (1, 2)] == [(point.batch, point.concurrency) for point in points[:4]]
    assert {Loop.CLOSED} == {point.loop for point in points}


def test_a_plan_that_takes_too_long_is_refused_with_its_time() -> None:
    """22 points of 2.4 s."""
    plan(minutes=0.9).require_short_enough(2)
    with pytest.raises(BadInputError, match=r"22 points of 2 s take 53 s, and --minutes is 0\.8"):
        plan(minutes=0.8).require_short_enough(2)


def test_rates_follow_from_the_best_closed_loop_unless_they_are_given() -> None:
    assert [100, 200, 300, 360, 440] == [round(rate) for rate in plan().rates_for(400.0)]
    assert [7.0] == plan(rates=(7.0,)).rates_for(400.0)
    assert [] == plan().rates_for(0.0)


def test_a_request_has_longer_than_the_limit_of_latency() -> None:
    assert (6.0, 1.0) == (plan(latency_limit=2.0).deadline, plan(latency_limit=0.01).deadline)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.6, "1 s"), (119.4, "119 s"), (120.0, "2.0 minutes"), (3570.0, "59.5 minutes")]
)
def test_a_short_duration_is_in_seconds(seconds: float, text: str) -> None:
    assert text == duration(seconds)


def test_numbers_are_read_in_any_order_and_each_once() -> None:
    assert [1, 4, 32] == whole_numbers(" 32,4, 1,4", option="--batch-sizes", limit=256)


@pytest.mark.parametrize("text", ["", "0", "257", "1,,2", "-1", "1.5", "٣", "9" * 5000])
def test_a_number_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(BadInputError, match=r"--batch-sizes .* is not a whole number from 1 to 256"):
        whole_numbers(text, option="--batch-sizes", limit=256)


def test_rates_may_be_left_to_the_closed_loop() -> None:
    assert [] == rates_of("auto")
    assert [0.5, 20.0] == rates_of("20,0.5")


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "fast", "1,", "1000000"])
def test_a_rate_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(BadInputError, match=r"--rates .* give requests per second"):
        rates_of(text)
