"""Which images are decoded at once. Threads wait for each other by events, so no test depends on a clock."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.budget import Budget

# Only a test that fails waits so long.
SECONDS = 30.0


class Block:
    """A thread that takes pixels and holds them until it is asked to end."""

    def __init__(self, budget: Budget, pixels: int) -> None:
        self.entered = threading.Event()
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(budget, pixels), daemon=True)
        self._thread.start()

    def _hold(self, budget: Budget, pixels: int) -> None:
        with budget.taken(pixels):
            self.entered.set()
            self._may_end.wait(SECONDS)

    def is_running(self) -> bool:
        return self.entered.wait(SECONDS)

    def end(self) -> None:
        self._may_end.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


class WatchedBudget(Budget):
    """A budget that says when a thread has to wait for room."""

    def __init__(self, pixels: int) -> None:
        super().__init__(pixels)
        self.waiting = threading.Semaphore(0)
        self._changed = _Watched(self.waiting)


class _Watched(threading.Condition):
    def __init__(self, waiting: threading.Semaphore) -> None:
        super().__init__()
        self._seen = waiting

    def wait(self, timeout: float | None = None) -> bool:
        # The lock is held here, and `end` of another block needs it: so nobody can free pixels before this one waits.
        self._seen.release()
        return super().wait(timeout)


@contextmanager
def blocks(budget: Budget, *pixels: int) -> Iterator[list[Block]]:
    """Blocks that run at once."""
    running = [Block(budget, each) for each in pixels]
    assert all(block.is_running() for block in running)
    try:
        yield running
    finally:
        for block in running:
            block.end()


def has_to_wait(budget: WatchedBudget) -> bool:
    return budget.waiting.acquire(timeout=SECONDS)


def test_blocks_run_at_once_as_long_as_their_pixels_fit() -> None:
    with blocks(Budget(100), 50, 30, 20, 0) as running:
        assert 4 == len(running)


def test_a_block_waits_until_there_is_room_for_all_of_its_pixels() -> None:
    budget = WatchedBudget(100)
    with blocks(budget, 50, 40) as (large, small):
        late = Block(budget, 60)

        assert has_to_wait(budget)
        small.end()
        assert has_to_wait(budget), "there is room for 50 pixels"
        assert not late.entered.is_set()
        large.end()
        assert late.is_running()
        late.end()


def test_a_block_that_is_larger_than_the_limit_runs_alone() -> None:
    budget = WatchedBudget(100)
    with blocks(budget, 1) as (small,):
        large = Block(budget, 10**9)

        assert has_to_wait(budget)
        assert not large.entered.is_set()
        small.end()
        assert large.is_running()
        late = Block(budget, 1)
        assert has_to_wait(budget)
        assert not late.entered.is_set()
        large.end()
        assert late.is_running()
        late.end()


def test_pixels_are_given_back_by_a_block_that_fails() -> None:
    budget = Budget(100)
    with pytest.raises(ValueError, match="of the block"), budget.taken(100):
        raise ValueError("of the block")

    with blocks(budget, 100) as (block,):
        assert block.entered.is_set()
