"""How requests are sent, and what is measured of them. The loops run in virtual time."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from pipeline.profiling import load
from pipeline.profiling.load import NOT_SENT, Sender, measure
from pipeline.profiling.measurement import Batching, Loop, Measurement, Point
from serving.apis import predict_pb2
from serving.errors import ConnectionLostError, RefusedError
from tests.pipeline.profiling.virtual_time import VirtualLoop, run_in_virtual_time
from tests.ports import free_port
from tests.serving.client.servers import SmallServer

OPEN = Point(batching=Batching.OFF, loop=Loop.OPEN, batch=1, rate=100.0)


def clients(number: int) -> Point:
    return Point(batching=Batching.OFF, loop=Loop.CLOSED, batch=1, concurrency=number)


def run(point: Point, ask: load.Ask, *, seconds: float, warm_seconds: float = 0.0) -> Measurement:
    return run_in_virtual_time(measure(point, ask, warm_seconds=warm_seconds, seconds=seconds))


async def at_once() -> str | None:
    await asyncio.sleep(0)
    return None


def test_an_open_loop_sends_as_many_requests_as_are_due() -> None:
    found = run(OPEN, at_once, seconds=0.3)

    assert (30, 0) == (found.answered, found.failed)


def test_requests_that_warm_a_server_up_do_not_count() -> None:
    found = run(OPEN, at_once, seconds=0.2, warm_seconds=0.1)

    assert 20 == found.answered


def test_latency_counts_from_when_a_request_was_due() -> None:
    """The server hangs for 0.3 of 0.4 s. A client that waits for it sees one slow request; users see thirty."""
    server = asyncio.Lock()
    hang = [0.3]

    async def ask() -> str | None:
        async with server:
            await asyncio.sleep(hang.pop() if hang else 0)
        return None

    found = run(OPEN, ask, seconds=0.4)

    assert 40 == found.answered
    assert (0.1, 0.3) == pytest.approx((found.p50, found.largest), rel=0.02)


def test_a_generator_that_does_not_keep_up_says_so_and_its_delay_counts() -> None:
    """Twenty requests are due within 0.2 s, and sending them takes a second; each is answered as soon as it is sent."""

    async def ask() -> str | None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.pass_seconds(0.05)
        return None

    found = run(OPEN, ask, seconds=0.2)

    assert 19 == found.late, "the first one is in time"
    assert pytest.approx(20 * 0.05 - 0.19, rel=0.02) == found.largest
    assert not found.generator_kept_up


def test_what_is_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MOST_UNDER_WAY", 3)

    async def ask() -> str | None:
        await asyncio.sleep(0.5)
        return None

    found = run(OPEN, ask, seconds=0.1)

    assert 3 == found.answered
    assert {NOT_SENT: 7} == found.errors


def test_each_client_of_a_closed_loop_waits_for_its_answer() -> None:
    under_way = most = 0

    async def ask() -> str | None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return None

    found = run(clients(4), ask, seconds=0.0495)

    assert 4 == most
    assert 4 * 50 == found.answered


def test_each_client_sends_one_request_however_slow_the_server_is() -> None:
    async def ask() -> str | None:
        await asyncio.sleep(0.05)
        return None

    assert 3 == run(clients(3), ask, seconds=0.001).answered


def test_errors_are_counted_by_their_kind_and_not_as_latencies() -> None:
    answers = iter([None, "UNAVAILABLE", "QUEUE_FULL", None, "UNAVAILABLE"])

    async def ask() -> str | None:
        await asyncio.sleep(0)
        return next(answers)

    point = Point(batching=Batching.OFF, loop=Loop.OPEN, batch=1, rate=50.0)
    found = run(point, ask, seconds=0.1)

    assert (2, {"UNAVAILABLE": 2, "QUEUE_FULL": 1}) == (found.answered, found.errors)


@pytest.mark.parametrize("point", [OPEN, clients(1)], ids=["open", "closed"])
def test_a_request_that_timed_out_counts_with_the_time_that_it_took(point: Point) -> None:
    """Without it, a server would look the better the more often it hangs."""

    async def ask() -> str | None:
        await asyncio.sleep(0.05)
        return "DEADLINE_EXCEEDED"

    found = run(point, ask, seconds=0.01)

    assert (0, {"DEADLINE_EXCEEDED": 1}) == (found.answered, found.errors)
    assert found.p50 >= 0.04


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    """Answers as the name of the model in a request says."""

    def handle(request: Any, context: grpc.ServicerContext) -> Any:
        match request.model_spec.name:
            case "slow":
                while context.is_active():
                    time.sleep(0.01)
            case "full":
                context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which ... is full")
            case "broken":
                context.abort(grpc.StatusCode.INTERNAL, "any")
            case "refused":
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no image")
        return predict_pb2.PredictResponse(model_spec={"version": {"value": 7}})

    with SmallServer(handle) as running:
        yield running


def asked(model: str, address: str, *, deadline: float = 60.0) -> str | None:
    request = predict_pb2.PredictRequest(model_spec={"name": model}).SerializeToString()

    async def send() -> str | None:
        async with Sender(address, tls=None, deadline=deadline) as sender:
            return await sender.asking([request])()

    return asyncio.run(send())


def test_a_sender_says_why_there_is_no_answer(server: SmallServer) -> None:
    kinds = {model: asked(model, server.address) for model in ("good", "full", "broken")}

    assert {"good": None, "full": "QUEUE_FULL", "broken": "INTERNAL"} == kinds


def test_a_request_has_its_deadline(server: SmallServer) -> None:
    assert "DEADLINE_EXCEEDED" == asked("slow", server.address, deadline=0.1)


def test_nothing_listens_there() -> None:
    assert asked("good", f"127.0.0.1:{free_port()}") == "UNAVAILABLE"


def checked(model: str, address: str) -> bytes:
    request = predict_pb2.PredictRequest(model_spec={"name": model}).SerializeToString()

    async def check() -> bytes:
        async with Sender(address, tls=None, deadline=0.1) as sender:
            return await sender.check(request, seconds=60.0)

    return asyncio.run(check())


def test_a_first_answer_is_given_back(server: SmallServer) -> None:
    assert 7 == predict_pb2.PredictResponse.FromString(checked("good", server.address)).model_spec.version.value


def test_the_error_of_a_first_answer_is_one_of_serving(server: SmallServer) -> None:
    with pytest.raises(RefusedError, match="no image"):
        checked("refused", server.address)
    with pytest.raises(ConnectionLostError):
        checked("good", f"127.0.0.1:{free_port()}")
