"""Whether replicas answer, asked over a new connection each: gRPC's health protocol, which a server need not have."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.client.options import channel_options
from serving.tls import Tls, open_channel

_TIMEOUT_SECONDS = 1.0
_AT_ONCE = 64


@dataclass(frozen=True)
class Probe:
    """The outcome.

    Attributes:
        address: of the replica.
        works: whether it answered in a second, and did not say that it does not serve.
        health_service: whether it has a health service; True if it did not answer.
    """

    address: str
    works: bool
    health_service: bool


async def probes(addresses: Sequence[str], *, tls: Tls | None) -> AsyncIterator[Probe]:
    """Probe all addresses, 64 at once, and give each outcome when it is known."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(address: str) -> Probe:
        async with slots:
            return await _probe(address, tls)

    tasks = [asyncio.create_task(one(address)) for address in addresses]
    try:
        for outcome in asyncio.as_completed(tasks):
            yield await outcome
    finally:
        for task in tasks:
            task.cancel()


async def _probe(address: str, tls: Tls | None) -> Probe:
    # Not `grpc.aio`: it does not support two event loops in a process well, and the application may have its own.
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def end(_: object) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(ended.set)

    with open_channel(address, tls=tls, options=channel_options(health_check=False)) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check.future
        call = check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
        call.add_done_callback(end)
        await ended.wait()
        if call.code() is grpc.StatusCode.OK:
            return Probe(address, call.result().status == health_pb2.HealthCheckResponse.SERVING, health_service=True)
        without = call.code() is grpc.StatusCode.UNIMPLEMENTED
        return Probe(address, works=without, health_service=not without)
