"""What only the bucket in memory has: every write and every deletion can be met, one by one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.storage.memory import MemoryBucket
from pipeline.storage.sums import MARK
from tests.pipeline.storage.kinds import MODEL, sums, written

SERVED = "serve/digits/1"


class PowerCut(Exception):  # noqa: N818 - it is no error of the program
    pass


class Power:
    """Goes off after so many effects."""

    def __init__(self) -> None:
        self.left = 1_000
        self.met: list[str] = []

    def __call__(self, key: str, effect: Callable[[], bool]) -> bool:
        if self.left == 0:
            raise PowerCut
        self.left -= 1
        self.met.append(key)
        return effect()


def test_deletions_are_met_one_by_one_the_mark_first(tmp_path: Path) -> None:
    power = Power()
    bucket = MemoryBucket(power)
    bucket.upload(written(tmp_path / "model", MODEL), SERVED)
    power.met.clear()
    assert bucket.remove(SERVED)

    assert f"{SERVED}/{MARK}" == power.met[0]
    assert sorted(f"{SERVED}/{name}" for name in MODEL) == sorted(power.met)


@pytest.mark.parametrize("deletions", range(len(MODEL)))
def test_a_removal_may_stop_after_any_deletion(tmp_path: Path, deletions: int) -> None:
    """Before the first everything is there, afterwards nothing a server would load; repeated, it finishes."""
    power = Power()
    bucket = MemoryBucket(power)
    bucket.upload(written(tmp_path / "model", MODEL), SERVED)
    power.left = deletions
    with pytest.raises(PowerCut):
        bucket.remove(SERVED)
    left = bucket.sums(SERVED)
    assert len(MODEL) - deletions == len(left)
    assert (left == sums(MODEL)) == (MARK in left)

    power.left = 1_000
    assert bucket.remove(SERVED)
    assert [] == bucket.names(SERVED)
