"""A loaded model whose concurrent requests are run together."""

import math
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from serving.inference.model import LoadedModel
from serving.model_server.batching.merge_split import Feeds, merged, rows_of, shares
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.queue import Queue, Task
from serving.model_server.batching.scheduler import Scheduler
from serving.model_server.metrics import server_metrics
from serving.status import ResourceExhaustedError
from serving.wire import Array

# Upstream's label of the thread pool in the queuing latency: its server leaves it empty.
POOL = ""


class BatchingModel:
    """Requests that feed and fetch the same tensors share a queue, and what waits there becomes one run.

    A request waits in `run` until its batch is done, and has its batch's error: one bad request hurts those it is run
    with. All requests must have rows in the first dimension of every input, and get as many in every output.
    """

    def __init__(self, model: LoadedModel, parameters: BatchingParameters, scheduler: Scheduler) -> None:
        """Take over the model; raises INVALID_ARGUMENT for parameters that do not go together."""
        parameters.check()
        self.signatures = model.signatures
        self._model = model
        self._parameters = parameters
        self._scheduler = scheduler
        self._adding = threading.Lock()
        self._queues: dict[tuple[frozenset[str], frozenset[str]], Queue] = {}

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> Sequence[Array]:
        """Raise, besides what the model raises, upstream's errors of a queue that is full and of rows that differ."""
        size = rows_of(feeds)
        server_metrics.asked_for_batch([size] * len(feeds))
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        parts = self._scheduler.submit(self._queue(feeds, fetches), Task(feeds, size, deadline))
        outputs = [part.result() for part in parts]
        if len(outputs) == 1:
            return [outputs[0][name] for name in fetches]
        return [np.concatenate([part[name] for part in outputs]) for name in fetches]

    def close(self) -> None:
        """Wait for what is queued, then close the model; nobody may be in `run` who has not queued yet."""
        self._scheduler.drain(self._queues.values())
        self._model.close()

    def _queue(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> Queue:
        key = frozenset(feeds), frozenset(fetches)
        queue = self._queues.get(key)
        if queue is None:
            names = sorted(key[1])
            with self._adding:
                queue = self._queues.setdefault(
                    key, Queue(self._parameters, lambda tasks: self._run_batch(names, tasks))
                )
        return queue

    def _run_batch(self, fetches: Sequence[str], tasks: list[Task]) -> None:
        try:
            outputs = self._outputs(fetches, tasks)
        except Exception as error:  # noqa: BLE001 - raised again in the thread of every request of the batch
            for task in tasks:
                task.fail(error)
            return
        for task, share in zip(tasks, outputs, strict=True):
            task.succeed(share)

    def _outputs(self, fetches: Sequence[str], tasks: list[Task]) -> list[Feeds]:
        now = time.monotonic()
        for task in tasks:
            server_metrics.queued(now - task.enqueued, POOL)
        deadline = max(task.deadline for task in tasks)
        if deadline <= now:
            raise ResourceExhaustedError("Run() timeout exceeded while waiting in batching queue")

        sizes = [task.size for task in tasks]
        rows = sum(sizes)
        # A batch without any row has none to repeat.
        padding = self._parameters.rounded(rows) - rows if rows else 0
        feeds = merged(
            [task.feeds for task in tasks],
            padding=padding,
            pad_variable_length=self._parameters.pad_variable_length_inputs,
        )
        server_metrics.ran_batch(rows + padding, padding)
        outputs = self._model.run(feeds, fetches, timeout_seconds=None if deadline == math.inf else deadline - now)
        return list(shares(fetches, outputs, sizes, padding))
