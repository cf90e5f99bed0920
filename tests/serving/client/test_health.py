"""Replicas that say by gRPC's health protocol whether they serve, and the options that make gRPC ask."""

import asyncio
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.client.options import channel_options
from serving.client.probe import Probe, probes
from serving.errors import UnreachableError
from serving.fleet.fleet import parse_fleet
from tests.ports import free_port
from tests.serving.client.conftest import MakeClient
from tests.serving.client.servers import SmallServer, eventually
from tests.serving.client.test_clients import X, ask, load, shares, wait_for_answers
from tests.serving.model_server.running import running


def test_a_replica_that_says_it_does_not_serve_gets_no_requests_until_it_does(make_client: MakeClient) -> None:
    """And no request fails meanwhile."""
    with SmallServer(with_health=True) as one, SmallServer() as other:
        fleet = parse_fleet(f"{one.address},{other.address}")
        with make_client(fleet, timeout=30) as client, load(client, threads=2) as answers:
            wait_for_answers(answers, 20, one.address)
            one.set_health(serving=False)
            # gRPC learns it from a stream, a moment later.
            wait_for_answers(answers, 200, other.address)
            before = one.requests
            wait_for_answers(answers, 200)
            after = one.requests
            one.set_health(serving=True)
            wait_for_answers(answers, 20, one.address)

    assert before == after


@pytest.mark.parametrize("count", [1, 2])
def test_replicas_that_say_from_the_start_that_they_do_not_serve_get_no_requests(
    make_client: MakeClient, count: int
) -> None:
    servers = [SmallServer(with_health=True) for _ in range(2)]
    with servers[0] as one, servers[1] as other:
        for server in servers:
            server.set_health(serving=False)
        addresses = [server.address for server in servers][:count]
        with make_client(parse_fleet(",".join(addresses))) as client, pytest.raises(UnreachableError):
            client.predict("m", X)

        assert 0 == one.requests + other.requests


def test_the_embedded_server_s_health_service_is_used(make_client: MakeClient, tmp_path: Path) -> None:
    port = free_port()
    with (
        running(tmp_path / "m", f"--port={port}", "--enable_grpc_healthcheck_service"),
        make_client(parse_fleet(f"127.0.0.1:{port}"), label=None) as client,
    ):
        answer = client.predict("default", {"x": np.array([1.5], np.float32)})

    assert [1.5] == answer.outputs["y"].tolist()


async def _probed(address: str) -> list[Probe]:
    return [each async for each in probes([address], tls=None)]


@pytest.mark.parametrize(
    ("with_health", "serving", "works"), [(False, True, True), (True, True, True), (True, False, False)]
)
def test_a_probe_learns_whether_a_replica_serves_and_has_a_health_service(
    *, with_health: bool, serving: bool, works: bool
) -> None:
    with SmallServer(with_health=with_health) as server:
        server.set_health(serving=serving)
        found = asyncio.run(_probed(server.address))

    assert [Probe(server.address, works=works, health_service=with_health)] == found


def test_a_probe_of_a_port_on_which_nobody_listens_fails() -> None:
    address = f"127.0.0.1:{free_port()}"

    assert [Probe(address, works=False, health_service=True)] == asyncio.run(_probed(address))


def test_health_is_asked_for_only_where_a_server_may_have_it() -> None:
    """An unreadable service config is ignored by gRPC: that this one has an effect is proved above."""
    assert "healthCheckConfig" in str(dict(channel_options(health_check=True))["grpc.service_config"])
    assert "grpc.service_config" not in dict(channel_options(health_check=False))


def test_a_connection_serves_all_requests(make_client: MakeClient) -> None:
    peers = set()

    with SmallServer() as server:
        handle = server.handle

        def noted(request: object, context: grpc.ServicerContext) -> object:
            peers.add(context.peer())
            return handle(request, context)

        server.handle = noted
        with make_client(parse_fleet(server.address)) as client:
            answers = ask(client, 10)

    assert {server.address: 10} == shares(answers)
    assert 1 == len(peers)


def test_a_server_that_went_while_idle_is_noticed(make_client: MakeClient) -> None:
    with (
        SmallServer() as one,
        SmallServer() as other,
        make_client(parse_fleet(f"{one.address},{other.address}")) as client,
    ):
        eventually(lambda: 2 == len(shares(ask(client, 2))))
        one.stop()
        answers = ask(client, 10)

    assert {other.address: 10} == shares(answers)
