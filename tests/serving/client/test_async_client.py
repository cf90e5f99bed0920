"""What only the client for asyncio does: many requests in one event loop, and their cancellation."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from serving.client import AsyncClient
from serving.errors import ServingError
from serving.fleet.fleet import parse_fleet
from serving.grpc_replica import GrpcReplica
from serving.signature import inputs_of, labels_of
from tests.fleet import RunningReplica, write_classifier
from tests.releases import IMAGES, MODEL
from tests.serving.client.servers import SmallServer, eventually

X = {"x": np.array([1.0], np.float32)}


def test_a_hundred_requests_at_once_are_shared_by_embedded_servers(tmp_path: Path) -> None:
    write_classifier(tmp_path / MODEL / "1")
    replicas = [RunningReplica(base_path=tmp_path / MODEL) for _ in range(2)]

    async def ask() -> list[tuple[str, str]]:
        async with AsyncClient(parse_fleet(",".join(each.address for each in replicas)), label=None) as client:
            # Both have been probed when both have answered.
            seen: set[str] = set()
            while len(seen) < 2:
                seen.add((await client.predict(MODEL, inputs_of(IMAGES[:1]))).address)
            asked = [client.predict(MODEL, inputs_of([f"{number % 4} x".encode()])) for number in range(100)]
            return [(labels_of(answer.outputs)[0], answer.address) for answer in await asyncio.gather(*asked)]

    try:
        for replica in replicas:
            replica.start()
        for replica in replicas:
            eventually(partial(_serves, replica))
        answers = asyncio.run(ask())
    finally:
        for replica in replicas:
            replica.stop()

    assert [str(number % 4) for number in range(100)] == [label for label, _ in answers]
    assert {replica.address: 50 for replica in replicas} == Counter(address for _, address in answers)


def _serves(replica: RunningReplica) -> bool:
    with GrpcReplica(replica.address, timeout=5) as connection:
        try:
            return connection.version_behind(MODEL, None) == 1
        except ServingError:
            return False


def test_a_request_that_is_cancelled_ends_and_others_go_on() -> None:
    async def run() -> str:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hang(*_: object) -> object:
            loop.call_soon_threadsafe(gate.set)
            return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2), loop).result()

        with SmallServer() as server:
            async with AsyncClient(parse_fleet(server.address), timeout=60) as client:
                server.handle, answering = hang, server.handle
                request = asyncio.create_task(client.predict("m", X))
                await gate.wait()
                request.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await request
                server.handle = answering
                return (await client.predict("m", X)).address

    assert asyncio.run(run()).startswith("127.0.0.1:")


def test_a_client_may_be_made_outside_of_an_event_loop_and_used_without_a_context() -> None:
    with SmallServer() as server:
        client = AsyncClient(parse_fleet(server.address))

        async def run() -> str:
            answer = await client.predict("m", X)
            await client.close()
            return answer.address

        assert server.address == asyncio.run(run())
