"""What both clients do with a fleet that is overloaded or down, over real connections."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest

from serving.errors import CircuitOpenError, OverloadedError, ServerFaultError, TooSlowError, UnreachableError
from serving.fleet.fleet import parse_fleet
from tests.ports import free_port
from tests.serving.client.conftest import AnyClient, MakeClient
from tests.serving.client.servers import SmallServer, doubled, eventually
from tests.serving.client.test_clients import X, ask, shares

FULL = "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued"
WAITED = "Run() timeout exceeded while waiting in batching queue"


def refusing(code: grpc.StatusCode, details: str) -> Callable[[Any, grpc.ServicerContext], Any]:
    def refuse(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, details)

    return refuse


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, FULL),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, WAITED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"),
    ],
)
def test_a_replica_whose_queue_is_full_keeps_its_connection_and_its_turn(
    make_client: MakeClient, code: grpc.StatusCode, details: str
) -> None:
    """...and the request is answered by another one."""
    peers = set()

    def noted(request: Any, context: grpc.ServicerContext) -> Any:
        peers.add(context.peer())
        return refusing(code, details)(request, context) if full else doubled(request, context)

    full = False
    with (
        SmallServer(noted) as one,
        SmallServer() as other,
        make_client(parse_fleet(f"{one.address},{other.address}")) as client,
    ):
        eventually(lambda: 2 == len(shares(ask(client, 2))))
        full, before = True, one.requests
        assert {other.address: 20} == shares(ask(client, 20))
        assert before + 10 <= one.requests
        full = False

        assert {one.address: 5, other.address: 5} == shares(ask(client, 10))
    assert 1 == len(peers)


def test_a_lone_replica_whose_queue_is_full_is_asked_once(make_client: MakeClient) -> None:
    with SmallServer() as server, make_client(parse_fleet(server.address)) as client:
        ask(client)
        server.handle, before = refusing(grpc.StatusCode.UNAVAILABLE, FULL), server.requests
        for _ in range(20):
            with pytest.raises(OverloadedError, match="UNAVAILABLE: The batch scheduling queue"):
                client.predict("m", X)

        assert before + 20 == server.requests


def test_memory_that_a_model_cannot_get_is_no_full_queue(make_client: MakeClient) -> None:
    handle = refusing(grpc.StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating tensor")
    with SmallServer(handle) as server, make_client(parse_fleet(server.address)) as client:
        with pytest.raises(ServerFaultError, match="OOM"):
            client.predict("m", X)

        assert 1 == server.requests


def test_a_fleet_that_is_down_is_left_alone_and_found_again(make_client: MakeClient) -> None:
    """The error says for how long; a request after that time is sent, and one that is answered is enough."""
    port = free_port()
    with make_client(parse_fleet(f"127.0.0.1:{port}")) as client:
        refused = _until_open(client)
        assert 0 < refused.seconds <= 5
        begun = time.monotonic()
        for _ in range(100):
            with suppress(UnreachableError):
                client.predict("m", X)
        assert time.monotonic() - begun < 5, "they were sent"
        with SmallServer(port=port) as server:
            eventually(lambda: _answers(client))

            assert {server.address: 20} == shares(ask(client, 20))


def _until_open(client: AnyClient) -> CircuitOpenError:
    for _ in range(100):
        try:
            client.predict("m", X)
        except CircuitOpenError as error:
            return error
        except UnreachableError:
            pass
    raise AssertionError("it never opened")


def _answers(client: AnyClient) -> bool:
    with suppress(UnreachableError):
        client.predict("m", X)
        return True
    return False


def test_a_request_may_have_its_own_time_which_the_server_gets(make_client: MakeClient) -> None:
    remaining = []

    def noted(request: Any, context: grpc.ServicerContext) -> Any:
        remaining.append(context.time_remaining())
        return doubled(request, context)

    with SmallServer(noted) as server, make_client(parse_fleet(server.address), timeout=60) as client:
        client.predict("m", X)
        client.predict("m", X, timeout=9)

    # All of it: there is no other replica.
    assert 20 < remaining[0] < 61
    assert remaining[1] < 10


def test_a_caller_with_little_time_neither_breaks_a_connection_nor_rests_a_replica(make_client: MakeClient) -> None:
    peers = []

    def slow(request: Any, context: grpc.ServicerContext) -> Any:
        peers.append(context.peer())
        time.sleep(0.5)
        return doubled(request, context)

    with SmallServer(slow) as server, make_client(parse_fleet(server.address), timeout=60) as client:
        ask(client)
        for _ in range(10):
            with pytest.raises(TooSlowError):
                client.predict("m", X, timeout=0.03)
        (state,) = client.replicas()
        ask(client)

    assert (server.address, True, 0, 0) == (state.address, state.usable, state.failures, state.rests_seconds)
    assert 1 == len(set(peers))
