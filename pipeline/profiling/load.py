"""Send requests in a closed or an open loop, and measure how long each answer takes.

Both run in one event loop with gRPC's asyncio API, and time is that of the loop's clock. The requests are bytes that
were made before, and answers are not decoded, so that a request costs this program about a tenth of a millisecond.

The open loop measures from the moment at which a request was due. If it measured from the moment of sending, and waited
for a server that hangs, the requests that users would have sent meanwhile were missing from the percentiles: Gil Tene's
"coordinated omission" ("How NOT to Measure Latency", 2013). A closed loop has that fault by its nature: its latencies
say what its clients saw, and not what users see who do not wait for each other.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from pipeline.profiling.latencies import Latencies
from pipeline.profiling.measurement import LATE_SECONDS, TIMED_OUT, Loop, Measurement, Point, measured
from serving.errors import translated
from serving.tls import Tls, open_aio_channel

_METHOD = "/tensorflow.serving.PredictionService/Predict"
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
# The most requests of an open loop that wait for an answer; it holds memory for each.
MOST_UNDER_WAY = 4096
NOT_SENT = f"NOT_SENT_{MOST_UNDER_WAY}_UNDER_WAY"
_QUEUE_FULL = "QUEUE_FULL"
# After an error a client of the closed loop waits, as clients do; a refused connection would be all that it measures.
_PAUSE_SECONDS = 0.01

# Sends one request. Returns the kind of the error, or None for an answer.
Ask = Callable[[], Awaitable[str | None]]


class Sender:
    """One connection to a server. Use it as an asynchronous context manager.

    Args:
        address: `host:port`.
        tls: how to encrypt; None for plain text.
        deadline: the seconds that each request has.
    """

    def __init__(self, address: str, *, tls: Tls | None, deadline: float) -> None:
        self._address = address
        self._tls = tls
        self._deadline = deadline

    async def __aenter__(self) -> Self:
        self._channel = open_aio_channel(self._address, tls=self._tls, options=_OPTIONS)
        self._call = self._channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close(grace=None)

    async def check(self, request: bytes, *, seconds: float) -> bytes:
        """The answer to one request, which may take so long.

        Raises:
            ServingError: there is none.
        """
        with translated(self._address):
            return bytes(await self._call(request, timeout=seconds, wait_for_ready=False))

    def asking(self, requests: Sequence[bytes]) -> Ask:
        """A function that sends these requests in turn."""
        turns = itertools.cycle(requests)

        async def ask() -> str | None:
            try:
                await self._call(next(turns), timeout=self._deadline)
            except grpc.RpcError as error:
                return _kind(error)
            return None

        return ask


def _kind(error: grpc.RpcError) -> str:
    details = error.details() or ""
    return _QUEUE_FULL if "queue" in details and "full" in details else str(error.code().name)


async def measure(point: Point, ask: Ask, *, warm_seconds: float, seconds: float) -> Measurement:
    """Load a server as the point says, first without and then with counting."""
    if point.loop is Loop.OPEN:
        return await _open_loop(point, ask, warm_seconds=warm_seconds, seconds=seconds)
    await _closed_loop(point, ask, seconds=warm_seconds)
    return await _closed_loop(point, ask, seconds=seconds)


async def _closed_loop(point: Point, ask: Ask, *, seconds: float) -> Measurement:
    """Each client sends at least one request, and none after the time is up."""
    counted = _Counted()
    now = asyncio.get_running_loop().time
    begin = now()

    async def client() -> None:
        while True:
            sent = now()
            error = await ask()
            counted.add(error, now() - sent)
            if error is not None:
                await asyncio.sleep(_PAUSE_SECONDS)
            if now() >= begin + seconds:
                return

    async with asyncio.TaskGroup() as clients:
        for _ in range(point.concurrency):
            clients.create_task(client())
    return measured(point, counted.latencies, seconds=now() - begin, errors=counted.errors)


async def _open_loop(point: Point, ask: Ask, *, warm_seconds: float, seconds: float) -> Measurement:
    """A request is due every 1/rate seconds, whether or not earlier ones are answered."""
    now = asyncio.get_running_loop().time
    warm, number = round(warm_seconds * point.rate), max(1, round(seconds * point.rate))
    begin = now() + warm / point.rate
    uncounted, counted = _Counted(), _Counted()
    under_way: set[asyncio.Task[None]] = set()
    for each in range(-warm, number):
        due, count = begin + each / point.rate, uncounted if each < 0 else counted
        # Also when it is late: the tasks need their turn.
        await asyncio.sleep(max(0.0, due - now()))
        if len(under_way) >= MOST_UNDER_WAY:
            count.errors[NOT_SENT] += 1
            continue
        task = asyncio.create_task(_send(ask, due, count))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)
    return measured(
        point, counted.latencies, seconds=max(seconds, now() - begin), errors=counted.errors, late=counted.late
    )


@dataclass
class _Counted:
    """What is counted of requests; `late` is for an open loop."""

    latencies: Latencies = field(default_factory=Latencies)
    errors: Counter[str] = field(default_factory=Counter)
    late: int = 0

    def add(self, error: str | None, seconds: float) -> None:
        """Count a request that ended after so many seconds."""
        if error is None or error == TIMED_OUT:
            self.latencies.add(seconds)
        if error is not None:
            self.errors[error] += 1


async def _send(ask: Ask, due: float, counted: _Counted) -> None:
    now = asyncio.get_running_loop().time
    counted.late += now() - due > LATE_SECONDS
    error = await ask()
    counted.add(error, now() - due)
