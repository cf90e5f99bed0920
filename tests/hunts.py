"""Tests that hunt for faults: random histories, kills at random moments, bad networks. More of them find more.

`make prove` runs every case. `make test` runs the same few of them each time.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

Case = TypeVar("Case")

hunt = pytest.mark.hunt
share = pytest.mark.share


def hunt_cases(cases: Sequence[Case], *, in_make_test: Sequence[Case]) -> list[Any]:
    """Parameters of a hunt, for `pytest.mark.parametrize` or a fixture.

    Args:
        cases: all of them.
        in_make_test: those of them that `make test` runs too.
    """
    assert set(in_make_test) < set(cases), "make test runs a part of what make prove runs"
    return [pytest.param(case, marks=[hunt, share] if case in in_make_test else [hunt]) for case in cases]
