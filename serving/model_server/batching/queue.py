"""What waits to be run together. Nothing here is safe to use from two threads, except waiting for a Task."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from serving.model_server.batching.parameters import BatchingParameters
from serving.status import InvalidArgumentError, StatusError, UnavailableError
from serving.wire import Array


class Task:
    """One request, or a part of one: from the thread that asks to the thread that runs its batch, and back."""

    def __init__(self, feeds: Mapping[str, Array], size: int, deadline: float = math.inf) -> None:
        """`size` is the number of rows; `deadline` is on the clock of time.monotonic."""
        self.feeds = feeds
        self.size = size
        self.deadline = deadline
        self.enqueued = time.monotonic()
        self._outputs: Mapping[str, Array] = {}
        self._error: Exception | None = None
        # Held until the batch ran: nothing Python has wakes another thread for less.
        self._pending = threading.Lock()
        self._pending.acquire()

    def succeed(self, outputs: Mapping[str, Array]) -> None:
        self._outputs = outputs
        self._pending.release()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._pending.release()

    def result(self) -> Mapping[str, Array]:
        """Wait until the batch ran, and return the outputs by name; to be asked once.

        Raises a StatusError of its own for each task, as a batch has one error for all its threads.
        """
        self._pending.acquire()
        if isinstance(self._error, StatusError):
            raise StatusError(self._error.message, self._error.code) from self._error
        if self._error is not None:
            raise RuntimeError("the batch of this request failed") from self._error
        return self._outputs

    def parts(self, sizes: Sequence[int]) -> Iterator["Task"]:
        """Tasks of these many rows each, one after the other."""
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            part = Task({name: array[rows] for name, array in self.feeds.items()}, size, self.deadline)
            part.enqueued = self.enqueued
            yield part
            start += size


@dataclass
class Batch:
    """Tasks that will be run together, and since when the first of them has waited."""

    tasks: list[Task] = field(default_factory=list)
    size: int = 0
    since: float = math.inf

    def add(self, task: Task) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append(task)
        self.size += task.size


class Queue:
    """Batches in the order they will run: the last one is open to new tasks, the others are full."""

    def __init__(self, parameters: BatchingParameters, run: Callable[[list[Task]], None]) -> None:
        """`run` is called with the tasks of one batch, and ends each of them."""
        self.run = run
        self.running = 0
        self.closed = False
        self._limit = parameters.execution_limit
        self._task_limit = parameters.max_batch_size
        self._splits = parameters.enable_large_batch_splitting
        self._max_batches = parameters.max_enqueued_batches or 1
        self._timeout = parameters.batch_timeout_micros / 1_000_000
        self._batches = deque([Batch()])

    @property
    def waiting(self) -> bool:
        return len(self._batches) > 1 or bool(self._batches[0].tasks)

    @property
    def rows(self) -> int:
        """How many wait."""
        return sum(batch.size for batch in self._batches)

    def add(self, task: Task) -> list[Task]:
        """The task, or the parts it had to be split into; raises upstream's refusal when it does not fit."""
        self._check_room(task.size)
        room = self._limit - self._batches[-1].size
        parts = [task] if task.size <= room or not self._splits else list(task.parts(self._sizes(task.size, room)))
        for part in parts:
            if self._batches[-1].size + part.size > self._limit:
                self._batches.append(Batch())
            self._batches[-1].add(part)
        return parts

    def due(self) -> float:
        """When the first batch may run, on the clock of time.monotonic; infinite when nothing waits."""
        first = self._batches[0]
        if not self.waiting:
            return math.inf
        if len(self._batches) > 1 or self.closed or first.size >= self._limit:
            return -math.inf
        return first.since + self._timeout

    def take(self) -> Batch | None:
        """The first batch, if it is due, counted as running from here on."""
        if self.due() > time.monotonic():
            return None
        if len(self._batches) == 1:
            self._batches.append(Batch())
        self.running += 1
        return self._batches.popleft()

    def _sizes(self, size: int, room: int) -> list[int]:
        """The rest of the open batch filled, then full batches, then what is left."""
        first = min(size, room or self._limit)
        full, rest = divmod(size - first, self._limit)
        return [first, *[self._limit] * full, *[rest] * bool(rest)]

    def _check_room(self, size: int) -> None:
        full = "The batch scheduling queue to which this task was submitted is full; "
        batches, open_size = len(self._batches), self._batches[-1].size
        if size > self._task_limit:
            raise InvalidArgumentError(f"Task size {size} is larger than maximum input batch size {self._task_limit}")
        if self._splits:
            capacity = (self._max_batches - batches) * self._limit + self._limit - open_size
            if size > capacity:
                raise UnavailableError(
                    f"{full}task size is {size} but scheduling capacity is only {capacity}"
                    f" (num_enqueued_batches={batches}, max_enqueued_batches={self._max_batches},"
                    f" open_batch_size={open_size}, max_execution_batch_size={self._limit})"
                )
        elif open_size + size > self._limit and batches >= self._max_batches:
            raise UnavailableError(
                f"{full}currently {batches} batches enqueued and max_enqueued_batches is {self._max_batches}"
            )
