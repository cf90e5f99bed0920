"""`/fleet` as JSON, and who gets the page instead."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import grpc
import httpx
import pytest

from serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from serving.gateway.fleet.view import KEPT_SECONDS, FleetView, State
from serving.gateway.models.models import open_models
from serving.gateway.settings import Settings
from tests.hunts import hunt
from tests.ports import free_port
from tests.serving.gateway.page.conftest import KEY, NOBODY, Gateway, model

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False)


def test_the_fleet_is_each_model_with_its_replicas_and_their_versions(gateway: Gateway) -> None:
    digits, pets = get(f"{gateway.url}/fleet").raise_for_status().json()["models"]
    works, down = digits.pop("replicas")
    limit = digits.pop("limit")
    failures = down.pop("failures")
    seconds = down.pop("rests_seconds")

    assert {"name": "digits", "label": "stable", "versions": [2], "in_flight": 0} == digits
    assert limit >= 1
    assert {
        "address": gateway.replicas[0],
        "state": "usable",
        "failures": 0,
        "rests_seconds": 0.0,
        "serves": 2,
        "versions": [
            {"version": 2, "state": "AVAILABLE", "error": ""},
            {"version": 1, "state": "AVAILABLE", "error": ""},
        ],
        "error": "",
    } == works
    refused = "UNAVAILABLE: no connection (Connection refused)"
    assert {"address": NOBODY, "state": "no answer", "serves": None, "versions": [], "error": refused} == down
    assert failures >= 1
    assert 0 <= seconds <= 10
    assert (None, []) == (pets["label"], pets["versions"])


def test_a_browser_gets_the_page_and_a_program_the_json(gateway: Gateway) -> None:
    kinds = [
        get(f"{gateway.url}/fleet{query}", **headers).headers["content-type"]
        for query, headers in (("", HTML), ("?format=json", HTML), ("", {}), ("", {"Accept": "application/json"}))
    ]

    assert ["text/html; charset=utf-8", *["application/json"] * 3] == kinds
    assert 422 >= get(f"{gateway.url}/fleet?format=xml").status_code >= 400


def test_the_page_needs_no_key_and_shows_nothing_without_one(gateway: Gateway, guarded: str) -> None:
    page = get(f"{guarded}/fleet", **HTML)
    asked: Sequence[tuple[str, Mapping[str, str]]] = (
        ("", {}),
        ("?format=json", HTML),
        ("?a=b&format=json", HTML),
        ("", {"Authorization": f"Bearer {KEY}"}),
    )

    assert 200 == page.status_code
    assert gateway.replicas[0] not in page.text
    assert [401, 401, 401, 200] == [get(f"{guarded}/fleet{query}", **headers).status_code for query, headers in asked]


class StatusServer(model_service_pb2_grpc.ModelServiceServicer, prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """A model server that counts how often it is asked for the status."""

    def __init__(self) -> None:
        self.asked = 0

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.asked += 1
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[{"version": 7, "state": "AVAILABLE"}])

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        reply.model_spec.version.value = 7
        return reply


@contextmanager
def status_server() -> Iterator[tuple[StatusServer, str]]:
    servicer = StatusServer()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    server.start()
    try:
        yield servicer, address
    finally:
        server.stop(None).wait()


class Clock:
    """One that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def viewing(*addresses: str, clock: Clock) -> AsyncIterator[FleetView]:
    """The view of one model whose client has its list."""
    async with open_models(Settings(models=[model(f"digits={','.join(addresses)}")])) as opened:
        while len(opened["digits"].client.replicas()) < len(addresses):
            await asyncio.sleep(0.01)
        view = FleetView(opened, now=clock)
        try:
            yield view
        finally:
            await view.close()


def test_many_who_look_at_once_cost_one_question_for_two_seconds() -> None:
    async def looked(address: str, servicer: StatusServer) -> list[int]:
        clock = Clock()
        counts = []
        async with viewing(address, clock=clock) as view:
            for seconds in (0.0, KEPT_SECONDS - 0.1, KEPT_SECONDS):
                clock.seconds = 100.0 + seconds
                views = await asyncio.gather(*(view.current() for _ in range(50)))
                assert {(7,)} == {tuple(each[0].versions) for each in views}
                counts.append(servicer.asked)
        return counts

    with status_server() as (servicer, address):
        assert [1, 1, 2] == asyncio.run(looked(address, servicer))


def test_one_who_goes_away_does_not_end_it_for_the_others() -> None:
    async def looked(address: str) -> Any:
        async with viewing(address, clock=Clock()) as view:
            impatient = asyncio.create_task(view.current())
            patient = asyncio.create_task(view.current())
            await asyncio.sleep(0)
            impatient.cancel()
            return await patient

    with status_server() as (_, address):
        assert [7] == asyncio.run(looked(address))[0].versions


def test_five_hundred_replicas_without_an_answer_are_all_listed() -> None:
    async def looked(addresses: list[str]) -> Any:
        async with viewing(*addresses, clock=Clock()) as view:
            return (await view.current())[0].replicas

    # Nobody listens there: this machine has all of 127.0.0.0/8.
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}:9" for number in range(500)]
    replicas = asyncio.run(looked(addresses))

    assert addresses == [each.known.address for each in replicas]
    assert {State.NO_ANSWER} == {each.state for each in replicas}


@hunt
@pytest.mark.parametrize("count", [1, 120])
def test_replicas_that_accept_and_say_nothing_hold_nobody_up(count: int) -> None:
    async def looked(addresses: list[str]) -> Any:
        async with viewing(*addresses, clock=Clock()) as view, asyncio.timeout(20):
            return (await view.current())[0].replicas

    port = free_port()
    hosts = [f"127.1.0.{number}" for number in range(1, count + 1)]
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(socket.create_server((host, port)))
        replicas = asyncio.run(looked([f"{host}:{port}" for host in hosts]))

    assert count == len(replicas)
    assert {State.NO_ANSWER} == {each.state for each in replicas}
    # 32 a second for three seconds: the others had no turn.
    assert (count > 96) == any("not asked" in each.status.error for each in replicas)
