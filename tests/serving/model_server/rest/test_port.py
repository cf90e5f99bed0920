"""The REST port of a whole server, whose models need no TensorFlow."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from serving.apis import get_model_status_pb2, model_service_pb2_grpc
from serving.model_server.flags import Flags
from serving.model_server.server import Server
from serving.status import StatusError
from tests.ports import free_port
from tests.serving.model_server.world import Shelf, eventually

MakeServer = Callable[..., Server]


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def make_server(tmp_path: Path, shelf: Shelf) -> Iterator[MakeServer]:
    """Servers of one version of `m`, on a gRPC port of their own."""
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "factor").write_text("1")
    made: list[Server] = []

    def make(**flags: Any) -> Server:
        flags.setdefault("port", free_port())
        made.append(Server(Flags(model_name="m", model_base_path=str(tmp_path / "m"), **flags), load=shelf))
        return made[-1]

    yield make
    for gate in shelf.gates.values():
        gate.set()
    for server in made:
        server.stop()


def grpc_answers(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "m"})
        return bool(model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=10))


def test_rest_answers_beside_grpc_until_the_server_stops(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port, rest_port = free_port(), free_port()
    server = make_server(port=port, rest_api_port=rest_port)
    server.start()
    status = httpx.get(f"http://127.0.0.1:{rest_port}/v1/models/m").status_code
    both = grpc_answers(port)
    server.stop()

    assert (status, both) == (200, True)
    assert refused(rest_port)
    assert f"Exporting HTTP/REST API at:localhost:{rest_port} ..." in caplog.messages
    assert not [record for record in caplog.records if record.name.startswith(("uvicorn", "asyncio"))]


def test_the_port_is_held_from_the_start_and_answers_when_the_model_is_there(
    make_server: MakeServer, shelf: Shelf
) -> None:
    shelf.gates[1] = threading.Event()
    rest_port = free_port()
    starting = threading.Thread(target=make_server(rest_api_port=rest_port).start)
    starting.start()
    eventually(lambda: shelf.attempts)

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", rest_port))
    assert refused(rest_port)
    shelf.gates[1].set()
    starting.join(30)
    assert not refused(rest_port)


def test_a_taken_port_leaves_grpc_served(make_server: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rest_port = taken.getsockname()[1]
        make_server(port=port, rest_api_port=rest_port).start()

    assert grpc_answers(port)
    assert f"Failed to start HTTP Server at localhost:{rest_port}" in caplog.text


def test_a_port_that_others_came_to_listen_on_leaves_grpc_served(
    make_server: MakeServer, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.gates[1] = threading.Event()
    port, rest_port = free_port(), free_port()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", rest_port))
        starting = threading.Thread(target=make_server(port=port, rest_api_port=rest_port).start)
        starting.start()
        eventually(lambda: shelf.attempts)
        other.listen()
        shelf.gates[1].set()
        starting.join(30)

    assert grpc_answers(port)
    assert f"Failed to start HTTP Server at localhost:{rest_port}" in caplog.text


def test_rest_on_the_port_of_grpc_is_skipped(make_server: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    make_server(port=port, rest_api_port=port).start()

    assert grpc_answers(port)
    assert (
        "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
        "Skipped exporting HTTP/REST API." in caplog.messages
    )


def test_the_flags_of_rest_take_effect(
    make_server: MakeServer, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text('prometheus_config { enable: true path: "/metrics" }')
    rest_port = free_port()
    told: list[float | None] = []
    make_server(
        rest_api_port=rest_port,
        rest_api_num_threads=1,
        rest_api_timeout_in_ms=1500,
        rest_api_enable_cors_support=True,
        monitoring_config_file=str(monitoring),
    ).start()
    run = shelf.models[1].run

    def listening(*arguments: Any, timeout_seconds: float | None = None) -> Any:
        told.append(timeout_seconds)
        return run(*arguments)

    monkeypatch.setattr(shelf.models[1], "run", listening)
    with httpx.Client(base_url=f"http://127.0.0.1:{rest_port}") as client:
        prediction = client.post("/v1/models/m:predict", json={"instances": [1.0]})

        assert prediction.status_code == 200
        assert prediction.headers["access-control-allow-origin"] == "*"
        assert told == [1.5]
        assert client.get("/metrics").status_code == 200


def test_a_monitoring_config_that_cannot_be_read_ends_the_start(make_server: MakeServer, shelf: Shelf) -> None:
    """...and without REST nobody looks at it."""
    missing = {"monitoring_config_file": "/nowhere/monitoring.config"}
    with pytest.raises(StatusError, match="/nowhere/monitoring"):
        make_server(rest_api_port=free_port(), **missing).start()

    assert shelf.attempts == []
    make_server(**missing).start()


def test_what_only_rest_needs_is_not_imported_without_it() -> None:
    script = "import sys, serving.model_server.server; print({'uvicorn', 'httptools'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout == "set()\n"
