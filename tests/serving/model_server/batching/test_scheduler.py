"""How many batches run at a time, and whose turn it is."""

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import Queue, Task
from serving.model_server.batching.scheduler import Scheduler
from serving.status import InvalidArgumentError
from tests.serving.model_server.world import eventually

LONG = 60_000_000


class Recorder:
    """What a queue is run with: notes its name and rows, and goes on when it may."""

    def __init__(self, name: str, order: list[tuple[str, int]], gate: threading.Event) -> None:
        self.entered = threading.Semaphore(0)
        self._name, self._order, self._gate = name, order, gate

    def __call__(self, tasks: list[Task]) -> None:
        self._order.append((self._name, sum(task.size for task in tasks)))
        self.entered.release()
        assert self._gate.wait(30)
        for task in tasks:
            task.succeed(task.feeds)


class Bench:
    def __init__(self, threads: int) -> None:
        self.scheduler = Scheduler(threads=threads, name="test")
        self.order: list[tuple[str, int]] = []
        self.gate = threading.Event()

    def queue(self, name: str, **parameters: Any) -> Queue:
        return Queue(BatchingParameters(**parameters), Recorder(name, self.order, self.gate))

    def submit(self, queue: Queue, rows: int = 1) -> list[Task]:
        return self.scheduler.submit(queue, task(rows))

    def occupy(self, queue: Queue) -> Task:
        """A task that a thread is busy with when this returns."""
        (submitted,) = self.submit(queue)
        assert isinstance(queue.run, Recorder)
        assert queue.run.entered.acquire(timeout=30)
        return submitted


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(getattr(request, "param", 1))
    yield made
    made.gate.set()
    made.scheduler.stop()


def task(rows: int) -> Task:
    return Task({"x": np.arange(rows)}, rows)


def test_no_threads_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as error:
        Scheduler(threads=0, name="test")

    assert error.value.message == "num_batch_threads must be positive; was 0"


def test_what_arrives_while_all_threads_are_busy_is_one_batch(bench: Bench) -> None:
    queue = bench.queue("a")
    bench.occupy(queue)
    waiting = [bench.submit(queue, rows)[0] for rows in (1, 2, 3)]
    bench.gate.set()

    assert [each.result()["x"].tolist() for each in waiting] == [[0], [0, 1], [0, 1, 2]]
    assert bench.order == [("a", 1), ("a", 6)]


def test_queues_take_turns(bench: Bench) -> None:
    """One queue with three full batches does not keep another from its one."""
    first, second = bench.queue("a", max_batch_size=2), bench.queue("b", max_batch_size=2)
    bench.occupy(first)
    waiting = [bench.submit(queue, 2)[0] for queue in (first, first, first, second)]
    bench.gate.set()
    for each in waiting:
        each.result()

    assert bench.order == [("a", 1), ("a", 2), ("b", 2), ("a", 2), ("a", 2)]


@pytest.mark.parametrize("bench", [2], indirect=True)
def test_as_many_batches_run_at_a_time_as_there_are_threads(bench: Bench) -> None:
    queue = bench.queue("a", max_batch_size=1)
    bench.occupy(queue)
    bench.occupy(queue)
    (waiting,) = bench.submit(queue)

    assert bench.order == [("a", 1), ("a", 1)]
    assert queue.rows == 1
    bench.gate.set()
    waiting.result()


def test_a_batch_that_is_not_full_runs_after_its_timeout(bench: Bench) -> None:
    bench.gate.set()
    queue = bench.queue("a", batch_timeout_micros=20_000)
    bench.submit(queue, 2)[0].result()

    assert bench.order == [("a", 2)]


def test_a_batch_runs_when_it_is_full_whatever_the_timeout(bench: Bench) -> None:
    bench.gate.set()
    queue = bench.queue("a", max_batch_size=3, batch_timeout_micros=LONG)
    waiting = [bench.submit(queue, rows)[0] for rows in (2, 1)]
    for each in waiting:
        each.result()

    assert bench.order == [("a", 3)]


@pytest.mark.parametrize("bench", [3], indirect=True)
def test_parts_of_one_task_run_at_the_same_time(bench: Bench) -> None:
    queue = bench.queue(
        "a", max_batch_size=9, enable_large_batch_splitting=True, max_execution_batch_size=3, batch_timeout_micros=LONG
    )
    parts = bench.submit(queue, 9)
    assert isinstance(queue.run, Recorder)
    for _ in parts:
        assert queue.run.entered.acquire(timeout=30)
    bench.gate.set()

    assert [part.result()["x"].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("bench", [2], indirect=True)
def test_threads_without_work_hold_on_to_nothing(bench: Bench) -> None:
    """A model that was unloaded, and the last tensors it was asked with, would else stay in memory."""
    bench.gate.set()
    queue = bench.queue("a")
    (last,) = bench.submit(queue)
    last.result()
    bench.scheduler.drain([queue])
    forgotten = weakref.ref(queue)
    del last, queue

    eventually(lambda: forgotten() is None)


def test_draining_does_not_wait_for_a_timeout(bench: Bench) -> None:
    """And ends when the last batch has."""
    bench.gate.set()
    queue = bench.queue("a", batch_timeout_micros=LONG)
    bench.submit(queue)
    bench.scheduler.drain([queue])

    assert bench.order == [("a", 1)]
    assert (queue.waiting, queue.running) == (False, 0)
