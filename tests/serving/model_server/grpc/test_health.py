"""What gRPC's own tools see of this server: health, reflection, ports, options, and the end."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.apis import get_model_status_pb2, model_service_pb2_grpc
from serving.model_server.grpc.grpc_server import server_options
from serving.status import StatusError
from tests.ports import free_port
from tests.serving.model_server.running import answers, predicted, running
from tests.serving.model_server.world import Shelf

HEALTH = "--enable_grpc_healthcheck_service"


def health(channel: grpc.Channel, service: str) -> str:
    """The status, or the code and words of a refusal."""
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def test_health_is_off_by_default(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path / "m", f"--port={port}"), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert health(channel, "").startswith("UNIMPLEMENTED")


def test_health_knows_upstream_s_names_and_no_others(tmp_path: Path) -> None:
    port = free_port()
    names = ["", "ModelService", "PredictionService", "tensorflow.serving.PredictionService"]
    with running(tmp_path / "m", f"--port={port}", HEALTH), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        said = [health(channel, name) for name in names]

    assert said == ["SERVING", "SERVING", "SERVING", "NOT_FOUND: service name unknown"]


def test_a_stop_lets_requests_in_flight_finish_tells_watchers_and_takes_no_new_ones(tmp_path: Path) -> None:
    """A watcher that stays does not keep the server beyond its grace."""
    port = free_port()
    shelf = Shelf()
    in_flight, gate = threading.Event(), threading.Event()
    with (
        running(tmp_path / "m", f"--port={port}", HEALTH, load=shelf) as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ThreadPoolExecutor(2) as pool,
    ):
        model = shelf.models[1]
        run = model.run

        def slow(*arguments: Any, **options: Any) -> Any:
            in_flight.set()
            assert gate.wait(30)
            return run(*arguments, **options)

        model.run = slow  # type: ignore[method-assign]
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        answer = pool.submit(predicted, channel, timeout=30)
        assert in_flight.wait(10)
        stopped = pool.submit(server.stop)

        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with grpc.insecure_channel(f"127.0.0.1:{port}") as late:
            assert not answers(late)
        gate.set()
        assert answer.result(30).model_spec.version.value == 1
        stopped.result(30)
        with pytest.raises(grpc.RpcError):
            next(watch)


def reflect(channel: grpc.Channel, requests: Iterable[Any]) -> list[Any]:
    return list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests), timeout=10))


@pytest.mark.parametrize(("flags", "more"), [((), []), ((HEALTH,), ["grpc.health.v1.Health"])])
def test_reflection_lists_the_services(tmp_path: Path, flags: tuple[str, ...], more: list[str]) -> None:
    port = free_port()
    with running(tmp_path / "m", f"--port={port}", *flags), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        (listed,) = reflect(channel, [reflection_pb2.ServerReflectionRequest(list_services="")])

    expected = [
        *more,
        "grpc.reflection.v1alpha.ServerReflection",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    ]
    assert expected == [each.name for each in listed.list_services_response.service]


@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_reflection_describes_exactly_the_methods_that_are_answered(tmp_path: Path, service: str) -> None:
    """Every method it describes is known to the server, with all the files its messages need."""
    port = free_port()
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"tensorflow.serving.{service}")
    with running(tmp_path / "m", f"--port={port}"), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        (answer,) = reflect(channel, [asked])
        files = {
            file.name: file
            for file in map(
                descriptor_pb2.FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto
            )
        }
        (described,) = [each for file in files.values() for each in file.service if each.name == service]
        codes = {each.name: outcome(channel, f"/tensorflow.serving.{service}/{each.name}") for each in described.method}

    assert {needed for file in files.values() for needed in file.dependency} <= files.keys()
    assert grpc.StatusCode.UNIMPLEMENTED not in codes.values()


def outcome(channel: grpc.Channel, method: str) -> grpc.StatusCode:
    """The code that an empty message to this method is answered with."""
    try:
        channel.unary_unary(method, bytes, bytes)(b"", timeout=10)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_services_are_described_without_tensorflow() -> None:
    script = (
        "import sys, serving.model_server.grpc.services\n"
        "from google.protobuf import descriptor_pool\n"
        "for name in serving.model_server.grpc.services.SERVICE_NAMES:\n"
        "    descriptor_pool.Default().FindServiceByName(name)\n"
        "print('tensorflow' in sys.modules)\n"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout == "False\n"


def test_a_socket_answers_beside_the_port(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "socket"
    with running(tmp_path / "m", f"--port={port}", f"--grpc_socket_path={path}"):
        for target in (f"127.0.0.1:{port}", f"unix:{path}"):
            with grpc.insecure_channel(target) as channel:
                assert answers(channel)


def test_a_socket_answers_instead_of_the_port_and_replaces_one_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with (
            running(tmp_path / "m", "--port=0", f"--grpc_socket_path={path}"),
            grpc.insecure_channel(f"unix:{path}") as channel,
        ):
            assert answers(channel)


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StatusError, match="UNKNOWN: cannot listen on unix:"),
        running(tmp_path / "m", "--port=0", f"--grpc_socket_path={tmp_path}/{'x' * 108}"),
    ):
        pass


def test_channel_arguments_are_numbers_where_they_can_be() -> None:
    """And nobody's wish replaces the size of messages that are taken in, which is upstream's."""
    options = server_options(
        "grpc.max_connection_age_ms=2000,grpc.primary_user_agent=me,a=3000000000,b=,grpc.max_receive_message_length=5"
    )

    assert options == [
        ("grpc.so_reuseport", 0),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.primary_user_agent", "me"),
        ("a", "3000000000"),
        ("b", ""),
        ("grpc.max_receive_message_length", 5),
        ("grpc.max_receive_message_length", 2**31 - 1),
    ]


def test_a_channel_argument_without_a_value_is_refused() -> None:
    with pytest.raises(StatusError, match=r"INVALID_ARGUMENT: --grpc_channel_arguments: .* got 'grpc.x'"):
        server_options("grpc.y=1,grpc.x")


def test_channel_arguments_take_effect(tmp_path: Path) -> None:
    """A connection of a limited age is closed by the server, and the client's next request takes another one."""
    port = free_port()
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "default"})

    async def use(address: str) -> None:
        # The channel of grpc.aio has no thread that watches it and fails now and then if the channel is closed.
        async with grpc.aio.insecure_channel(address) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            assert (await stub.GetModelStatus(request, timeout=10)).model_version_status
            async with asyncio.timeout(20):
                while (state := channel.get_state()) is not grpc.ChannelConnectivity.IDLE:
                    await channel.wait_for_state_change(state)
            assert (await stub.GetModelStatus(request, timeout=10)).model_version_status

    with running(tmp_path / "m", f"--port={port}", "--grpc_channel_arguments=grpc.max_connection_age_ms=100"):
        asyncio.run(use(f"127.0.0.1:{port}"))


def test_large_messages_come_in(tmp_path: Path) -> None:
    """Beyond the 4 MiB that gRPC allows by itself."""
    port = free_port()
    with (
        running(tmp_path / "m", f"--port={port}"),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        pytest.raises(grpc.RpcError) as refusal,
    ):
        predicted(channel, name="x" * 8 * 2**20)

    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
