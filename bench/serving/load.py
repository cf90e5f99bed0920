"""The clients: processes of their own, so that neither servers nor other clients share an interpreter with them.

Each holds one connection and sends bytes prepared before; every server of a comparison is asked by the same code.
"""

import itertools
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httptools

from bench.serving.unary import Unary

TIMEOUT_SECONDS = 30.0
CHUNK = 65536
# For every client to connect before the first paced request is due.
HEAD_START_SECONDS = 0.5

Ask = Callable[[], bytes]


class BusyError(ConnectionError):
    """The server answered 503; it asks to wait so many seconds."""

    def __init__(self, answer: bytes, *, seconds: float) -> None:
        super().__init__(f"HTTP 503: {answer[:200]!r}")
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to send which bytes: a gRPC method when `rest` is false, else a path to POST to.

    `others` are sent in turn with `body`.
    """

    port: int
    path: str
    body: bytes
    others: tuple[bytes, ...] = ()
    rest: bool = False
    content_type: str = "application/json"

    @property
    def bodies(self) -> Sequence[bytes]:
        return (self.body, *self.others)

    def http_requests(self) -> list[bytes]:
        """The requests of a keep-alive connection, with their heads."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {self.content_type}\r\n"
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in self.bodies]


@dataclass(frozen=True)
class Window:
    """What one client, or all of them together, saw in a stretch of time.

    `busy` are the requests that were answered 503. A client then waits as the answer asks it to.
    """

    seconds: float
    latencies: list[float]
    failures: int
    busy: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


@dataclass(frozen=True)
class Arrival:
    """A paced request: when it was due on the monotonic clock, how long after that it was answered, and whether."""

    due: float
    latency: float
    answered: bool


@contextmanager
def connected(target: Target) -> Iterator[Ask]:
    """A call that returns the answer's bytes and raises OSError when there is none."""
    with socket.create_connection(("127.0.0.1", target.port), TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.rest:
            yield _Http(connection, target)
        else:
            yield Unary(connection, path=target.path, authority=f"127.0.0.1:{target.port}", bodies=target.bodies)


class _Http:
    """One keep-alive connection, and no more of HTTP than the answers of these servers need."""

    def __init__(self, connection: socket.socket, target: Target) -> None:
        self._connection = connection
        self._requests = itertools.cycle(target.http_requests())
        self._parser = httptools.HttpResponseParser(self)
        self._complete = False
        self._body: list[bytes] = []
        self._retry_after = 0.0

    def __call__(self) -> bytes:
        self._complete = False
        self._body.clear()
        self._connection.sendall(next(self._requests))
        while not self._complete:
            received = self._connection.recv(CHUNK)
            if not received:
                raise ConnectionError("the server hung up")
            self._parser.feed_data(received)
        answer = b"".join(self._body)
        if self._parser.get_status_code() == 503:
            raise BusyError(answer, seconds=self._retry_after)
        if self._parser.get_status_code() != 200:
            raise ConnectionError(f"HTTP {self._parser.get_status_code()}: {answer[:200]!r}")
        return answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = float(value)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._complete = True


class Clients:
    """A fixed number of client processes, started once and used for many windows."""

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._count = count
        self._pool = ProcessPoolExecutor(count, spawn, initializer=_join, initargs=(spawn.Barrier(count),))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, target: Target, seconds: float) -> Window:
        """All clients at once, each sending its next request when the last one is answered."""
        # No client takes two of these: each waits inside for all others.
        futures = [self._pool.submit(_closed_loop, target, seconds) for _ in range(self._count)]
        windows = [future.result() for future in futures]
        latencies = [latency for window in windows for latency in window.latencies]
        return Window(
            max(each.seconds for each in windows),
            latencies,
            failures=sum(each.failures for each in windows),
            busy=sum(each.busy for each in windows),
        )

    def alternate(self, targets: Sequence[Target], seconds: float) -> list[list[float]]:
        """One client asks all in turn, request by request, so that what disturbs one disturbs the others.

        Returns:
            The latencies of each; raises OSError when a request fails.
        """
        return self._pool.submit(_alternating, targets, seconds).result()

    def pace(self, target: Target, *, seconds: float, rate: float) -> "Pacing":
        """Together the clients send `rate` requests a second, in turn, whether or not the server keeps up."""
        interval = self._count / rate
        # The monotonic clock is one for all processes of a machine.
        begin = time.monotonic() + HEAD_START_SECONDS
        starts = [begin + number / rate for number in range(self._count)]
        return Pacing([self._pool.submit(_paced, target, start, seconds, interval) for start in starts])


class Pacing:
    """Paced requests under way."""

    def __init__(self, futures: "list[Future[list[Arrival]]]") -> None:
        self._futures = futures

    def done(self) -> bool:
        return all(future.done() for future in self._futures)

    def result(self) -> list[Arrival]:
        return [arrival for future in self._futures for arrival in future.result()]


_start: threading.Barrier


def _join(barrier: threading.Barrier) -> None:
    global _start  # noqa: PLW0603 - the one thing a pool hands to its workers
    _start = barrier
    # Ctrl-C is for the parent, which ends this process in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _closed_loop(target: Target, seconds: float) -> Window:
    latencies, failures, busy = [], 0, 0
    with connected(target) as ask:
        with suppress(BusyError):
            ask()
        _start.wait(TIMEOUT_SECONDS)
        begin = now = time.perf_counter()
        while now - begin < seconds:
            before = now
            try:
                ask()
                latencies.append(time.perf_counter() - before)
            except BusyError as error:
                busy += 1
                time.sleep(max(0.0, min(error.seconds, begin + seconds - time.perf_counter())))
            except OSError:
                failures += 1
            now = time.perf_counter()
        return Window(now - begin, latencies, failures, busy)


def _alternating(targets: Sequence[Target], seconds: float) -> list[list[float]]:
    latencies: list[list[float]] = [[] for _ in targets]
    with ExitStack() as stack:
        asks = [stack.enter_context(connected(target)) for target in targets]
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for ask, found in zip(asks, latencies, strict=True):
                before = time.perf_counter()
                ask()
                found.append(time.perf_counter() - before)
    return latencies


def _paced(target: Target, begin: float, seconds: float, interval: float) -> list[Arrival]:
    """Latency counts from when a request was due, so that a stalled server is charged for all it kept waiting."""
    arrivals = []
    with connected(target) as ask:
        ask()
        for number in range(int(seconds / interval)):
            due = begin + number * interval
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                ask()
                answered = True
            except OSError:
                answered = False
            arrivals.append(Arrival(due, time.monotonic() - due, answered))
    return arrivals
