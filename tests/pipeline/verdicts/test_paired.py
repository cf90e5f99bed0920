"""The paired comparison, against closed forms and against scipy where it has the same question."""

import math
from statistics import NormalDist

import pytest

from pipeline.verdicts.paired import Pairs, examples_needed, lower_bound

Z = NormalDist().inv_cdf(0.95)


@pytest.mark.parametrize("total", [5, 50, 461, 10_000])
def test_without_disagreement_the_bound_has_a_closed_form(total: int) -> None:
    """With b = c = 0 Tango's statistic for -d is sqrt(n d / (1 - d)), so the bound is -z^2 / (n + z^2)."""
    expected = -(Z**2) / (total + Z**2)

    assert expected == pytest.approx(lower_bound(Pairs(total, 0, 0), confidence=0.95), abs=1e-9)


def test_swapping_the_models_mirrors_the_interval() -> None:
    """The lower bound of one order is minus the upper bound of the other: here, at 50 %, both are the estimate."""
    pairs, mirrored = Pairs(200, 12, 5), Pairs(200, 5, 12)

    assert pairs.difference == pytest.approx(lower_bound(pairs, confidence=0.5 + 1e-9), abs=1e-6)
    assert -pairs.difference == pytest.approx(lower_bound(mirrored, confidence=0.5 + 1e-9), abs=1e-6)


def test_the_bound_approaches_walds_in_large_samples() -> None:
    pairs = Pairs(100_000, 1500, 1400)
    rate = (1500 + 1400) / 100_000
    wald = pairs.difference - Z * math.sqrt((rate - pairs.difference**2) / pairs.total)

    assert wald == pytest.approx(lower_bound(pairs, confidence=0.95), abs=1e-5)


def test_more_confidence_means_a_lower_bound() -> None:
    pairs = Pairs(461, 6, 5)
    bounds = [lower_bound(pairs, confidence=level) for level in (0.8, 0.9, 0.95, 0.99)]

    assert sorted(bounds, reverse=True) == bounds
    assert bounds[0] < pairs.difference


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (3, 4), (10, 12)])
def test_the_number_of_examples_said_to_suffice_does(better: int, worse: int) -> None:
    small = Pairs(100, better, worse)
    needed = examples_needed(small, margin=0.05, confidence=0.95)
    assert needed is not None
    factor = needed / 100

    enough = lower_bound(Pairs(needed, round(better * factor), round(worse * factor)), confidence=0.95)

    assert enough >= -0.05 - 0.005


def test_no_number_of_examples_helps_what_is_worse_by_the_margin() -> None:
    assert examples_needed(Pairs(100, 0, 5), margin=0.05, confidence=0.95) is None
