"""Tests that hunt for faults: made-up histories, kills at random moments, bad networks. More of them find more.

`make prove` runs every case. `make test` runs the same few of them each time.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

Case = TypeVar("Case")

hunt = pytest.mark.hunt
share = pytest.mark.share


def hunted(cases: Sequence[Case], *, shared: Sequence[Case]) -> list[ParameterSet]:
    """Parameters of a hunt.

    Args:
        cases: all of them.
        shared: those of them that `make test` runs too.
    """
    assert set(shared) < set(cases), "a share is a part of what is hunted"
    return [pytest.param(case, marks=[hunt, share] if case in shared else [hunt]) for case in cases]
