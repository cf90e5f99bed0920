"""The threads that run batches, shared by the queues of all models."""

import threading
import time
from collections.abc import Collection

from serving.model_server.batching.queue import Batch, Queue, Task
from serving.status import InvalidArgumentError


class Scheduler:
    """Runs at most `threads` batches at a time, one queue after the other; no lock is held meanwhile.

    While all threads are busy, what arrives becomes the next batch. Running a lonely request in its own thread would
    save its way here and back, and was slower with many clients: the way is when the others come along.
    """

    def __init__(self, *, threads: int, name: str) -> None:
        if threads < 1:
            raise InvalidArgumentError(f"num_batch_threads must be positive; was {threads}")
        self._stopping = False
        # The queues with something in them, those that had their turn last behind the others.
        self._waiting: dict[Queue, None] = {}
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._drained = threading.Condition(lock)
        for number in range(threads):
            threading.Thread(target=self._loop, name=f"{name}_{number}", daemon=True).start()

    def submit(self, queue: Queue, task: Task) -> list[Task]:
        """Hand a task in, and return it or its parts, to be waited for; raises StatusError when there is no room."""
        with self._work:
            before = queue.due()
            parts = queue.add(task)
            self._waiting.setdefault(queue)
            if queue.due() < before:
                self._work.notify()
        return parts

    def drain(self, queues: Collection[Queue]) -> None:
        """Return when nothing is left of these queues; nothing may be submitted to them any more."""
        with self._work:
            for queue in queues:
                queue.closed = True
            self._work.notify_all()
            self._drained.wait_for(lambda: not any(queue.waiting or queue.running for queue in queues))

    def stop(self) -> None:
        """Let the threads end, each after the batch it runs, without waiting for them; what is queued stays there."""
        with self._work:
            self._stopping = True
            self._work.notify_all()

    def _loop(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Whether there was a batch. A call for each: a thread that waits holds on to no batch and no model."""
        work = self._next()
        if work is None:
            return False
        queue, batch = work
        try:
            queue.run(batch.tasks)
        finally:
            self._end(queue)
        return True

    def _next(self) -> tuple[Queue, Batch] | None:
        """Wait for a batch that is due; None when there shall be no more."""
        with self._work:
            while not self._stopping:
                work = self._take()
                if work is not None:
                    if self._waiting:
                        # For another thread to look after, as this one stops doing so.
                        self._work.notify()
                    return work
                self._work.wait(self._patience())
            return None

    def _take(self) -> tuple[Queue, Batch] | None:
        for queue in self._waiting:
            batch = queue.take()
            if batch is not None:
                del self._waiting[queue]
                if queue.waiting:
                    self._waiting[queue] = None
                return queue, batch
        return None

    def _patience(self) -> float | None:
        """Seconds until a batch is due; None when nothing waits."""
        if not self._waiting:
            return None
        due = min(queue.due() for queue in self._waiting)
        return min(max(due - time.monotonic(), 0), threading.TIMEOUT_MAX)

    def _end(self, queue: Queue) -> None:
        with self._work:
            queue.running -= 1
            if queue.closed:
                self._drained.notify_all()
