"""Which tasks come into which batch, when a batch is due, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import Queue, Task
from serving.status import InvalidArgumentError, UnavailableError

LONG = 60_000_000


def queue(**parameters: Any) -> Queue:
    return Queue(BatchingParameters(**parameters), lambda _: None)


def task(rows: int) -> Task:
    return Task({"x": np.arange(rows)}, rows)


def sizes(waiting: Queue) -> list[list[int]]:
    """The tasks of every batch that is due, by size."""
    taken = []
    while (batch := waiting.take()) is not None:
        taken.append([each.size for each in batch.tasks])
    return taken


def test_without_a_timeout_everything_there_is_one_batch() -> None:
    waiting = queue()
    for rows in (1, 2, 3):
        waiting.add(task(rows))

    assert sizes(waiting) == [[1, 2, 3]]


def test_a_task_that_does_not_fit_starts_the_next_batch() -> None:
    """And makes the one before due, full or not, whatever the timeout."""
    waiting = queue(max_batch_size=4, batch_timeout_micros=LONG)
    for rows in (1, 2, 2):
        waiting.add(task(rows))

    assert sizes(waiting) == [[1, 2]]
    assert waiting.rows == 2


def test_a_full_batch_is_due_before_its_timeout() -> None:
    waiting = queue(max_batch_size=4, batch_timeout_micros=LONG)
    waiting.add(task(4))

    assert waiting.due() == -math.inf


def test_an_open_batch_is_due_a_timeout_after_its_first_task() -> None:
    waiting = queue(batch_timeout_micros=LONG)
    waiting.add(first := task(1))
    due = waiting.due()
    waiting.add(task(1))

    assert due == waiting.due()
    assert 59 < due - first.enqueued < 61
    assert waiting.take() is None


def test_a_closed_queue_does_not_wait() -> None:
    waiting = queue(batch_timeout_micros=LONG)
    waiting.add(task(1))
    waiting.closed = True

    assert sizes(waiting) == [[1]]


def test_a_task_larger_than_a_batch_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as error:
        queue(max_batch_size=4).add(task(5))

    assert error.value.message == "Task size 5 is larger than maximum input batch size 4"


def test_a_task_without_room_in_the_last_of_the_batches_is_refused() -> None:
    waiting = queue(max_batch_size=4, max_enqueued_batches=2, batch_timeout_micros=LONG)
    for rows in (4, 3):
        waiting.add(task(rows))
    with pytest.raises(UnavailableError) as error:
        waiting.add(task(2))

    assert error.value.message == (
        "The batch scheduling queue to which this task was submitted is full; "
        "currently 2 batches enqueued and max_enqueued_batches is 2"
    )
    waiting.add(task(1))
    assert sizes(waiting) == [[4], [3, 1]]


def test_no_batches_at_all_means_one() -> None:
    waiting = queue(max_batch_size=2, max_enqueued_batches=0, batch_timeout_micros=LONG)
    waiting.add(task(2))
    with pytest.raises(UnavailableError, match="currently 1 batches enqueued and max_enqueued_batches is 1"):
        waiting.add(task(1))


def test_a_large_task_fills_the_open_batch_then_full_ones_then_what_is_left() -> None:
    waiting = queue(max_batch_size=20, enable_large_batch_splitting=True, max_execution_batch_size=4)
    waiting.add(task(1))
    parts = waiting.add(task(12))

    assert [part.size for part in parts] == [3, 4, 4, 1]
    assert np.concatenate([part.feeds["x"] for part in parts]).tolist() == list(range(12))
    assert sizes(waiting) == [[1, 3], [4], [4], [1]]


def test_a_large_task_after_a_full_batch_starts_with_a_full_one() -> None:
    waiting = queue(max_batch_size=20, enable_large_batch_splitting=True, max_execution_batch_size=4)
    waiting.add(task(4))
    waiting.add(task(8))

    assert sizes(waiting) == [[4], [4], [4]]


def test_a_large_task_without_room_for_all_of_its_parts_is_refused() -> None:
    waiting = queue(
        max_batch_size=20, enable_large_batch_splitting=True, max_execution_batch_size=4, max_enqueued_batches=2
    )
    waiting.add(task(3))
    with pytest.raises(UnavailableError) as error:
        waiting.add(task(6))

    assert error.value.message == (
        "The batch scheduling queue to which this task was submitted is full; task size is 6 but scheduling capacity "
        "is only 5 (num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=3, max_execution_batch_size=4)"
    )
    assert sizes(waiting) == [[3]]
