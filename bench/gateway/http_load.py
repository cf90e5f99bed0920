"""HTTP requests from one process: on a schedule that does not wait for answers, or so many one after the other.

The connections are asyncio's own and the requests are prepared bytes, so that a request costs a tenth of a millisecond.
"""

import asyncio
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httptools

from bench.serving.load import Target

TIMEOUT_SECONDS = 60.0
# Before the first request is due.
_HEAD_START_SECONDS = 0.2
# The status of a request that was not answered.
NO_ANSWER = 0


@dataclass(frozen=True)
class Outcome:
    """A scheduled request: seconds from when it was due to the end of its answer, and the answer's status."""

    latency: float
    status: int


class HttpLoad:
    """The process that sends."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def offer(self, target: Target, *, rate: float, seconds: float) -> list[Outcome]:
        """Send `rate` requests a second at equal distances, each on an idle connection, or else on a new one."""
        return self._pool.submit(_run_offer, target, rate, seconds).result()

    def flood(
        self, port: int, request: Callable[[int], bytes], *, first: int, count: int, at_once: int
    ) -> Mapping[int, int]:
        """Send the requests of the numbers from `first` on, and count the answers by status.

        `request` is a function of a module, which makes a whole HTTP request of a number.
        """
        return self._pool.submit(_run_flood, port, request, range(first, first + count), at_once).result()


class _Connection(asyncio.Protocol):
    """One request at a time; it says itself when it can take no more."""

    def __init__(self) -> None:
        self.usable = True
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.WriteTransport
        self._answered: asyncio.Future[int] | None = None

    async def ask(self, request: bytes) -> int:
        """The status, or NO_ANSWER."""
        self._answered = asyncio.get_running_loop().create_future()
        if not self.usable:
            return NO_ANSWER
        self._transport.write(request)
        try:
            return await asyncio.wait_for(self._answered, TIMEOUT_SECONDS)
        except TimeoutError:
            self.close()
            return NO_ANSWER

    def close(self) -> None:
        self.usable = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        self._settle(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.usable = False
        self._settle(NO_ANSWER)

    def _settle(self, status: int) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)


class _Connections:
    """Those that are idle; a new one is opened when there is none."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def ask(self, request: bytes) -> int:
        try:
            connection = await self._one()
        except OSError:
            return NO_ANSWER
        status = await connection.ask(request)
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    async def _one(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self._port))[1]


def _run_offer(target: Target, rate: float, seconds: float) -> list[Outcome]:
    return asyncio.run(_offer(target, rate, seconds))


async def _offer(target: Target, rate: float, seconds: float) -> list[Outcome]:
    connections, requests = _Connections(target.port), target.http_requests()

    async def one(due: float, request: bytes) -> Outcome:
        status = await connections.ask(request)
        return Outcome(time.monotonic() - due, status)

    begin, tasks = time.monotonic() + _HEAD_START_SECONDS, []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(due, requests[number % len(requests)])))
    outcomes = await asyncio.gather(*tasks)
    connections.close()
    return outcomes


def _run_flood(port: int, request: Callable[[int], bytes], numbers: range, at_once: int) -> Counter[int]:
    return asyncio.run(_flood(port, request, iter(numbers), at_once))


async def _flood(port: int, request: Callable[[int], bytes], numbers: Iterator[int], at_once: int) -> Counter[int]:
    connections, statuses = _Connections(port), Counter[int]()

    async def sender() -> None:
        for number in numbers:
            statuses[await connections.ask(request(number))] += 1

    await asyncio.gather(*(sender() for _ in range(at_once)))
    connections.close()
    return statuses
