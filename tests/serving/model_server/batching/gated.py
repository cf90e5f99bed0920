"""A model that can be held inside a run, and batching around it."""

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from serving.model_server.batching.model import BatchingModel
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.scheduler import Scheduler
from serving.wire import Array
from tests.serving.model_server.world import Times, eventually


class Gated(Times):
    """Runs when its gate is open, and remembers what each run got."""

    def __init__(self) -> None:
        super().__init__(10)
        self.gate = threading.Event()
        self.gate.set()
        self.runs: list[Array] = []
        self.timeouts: list[float | None] = []

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        self.runs.append(feeds["x:0"])
        self.timeouts.append(timeout_seconds)
        assert self.gate.wait(30)
        return super().run(feeds, fetches, timeout_seconds=timeout_seconds)


class Clients:
    """Threads that ask one batching model."""

    def __init__(self, inner: Any, parameters: BatchingParameters, pool: ThreadPoolExecutor) -> None:
        self.inner = inner
        self.scheduler = Scheduler(threads=parameters.num_batch_threads, name="test")
        self.model = BatchingModel(inner, parameters, self.scheduler)
        self._pool = pool

    def ask(self, *rows: object, fetches: Sequence[str] = ("y:0",), timeout: float | None = None) -> Future[Any]:
        """Ask with these rows in a thread of its own; the result is a list of lists."""
        feeds = {"x:0": np.array(rows, np.float32)}
        return self._pool.submit(
            lambda: [each.tolist() for each in self.model.run(feeds, fetches, timeout_seconds=timeout)]
        )

    def ask_in_order(self, *requests: Sequence[object], timeout: float | None = None) -> list[Future[Any]]:
        """Ask with each of them once the one before waits in the queue."""
        asked = []
        for rows in requests:
            expected = self.waiting + len(rows)
            asked.append(self.ask(*rows, timeout=timeout))
            eventually(functools.partial(self._waits, expected))
        return asked

    @property
    def waiting(self) -> int:
        """Rows in the queues."""
        return sum(queue.rows for queue in list(self.model._queues.values()))

    def _waits(self, rows: int) -> bool:
        return self.waiting == rows

    @contextmanager
    def held(self) -> Iterator[Future[Any]]:
        """The one thread is busy with a request of one row, 1, until the block ends."""
        before = len(self.inner.runs)
        self.inner.gate.clear()
        first = self.ask(1)
        eventually(lambda: len(self.inner.runs) > before)
        try:
            yield first
        finally:
            self.inner.gate.set()
