"""The load generator's clients against real servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import pytest

from bench.serving.load import Clients, Target, connected

ECHO = "/test.Echo/Echo"
REFUSE = "/test.Echo/Refuse"


def refuse(request: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request


@pytest.fixture
def grpc_port() -> Iterator[int]:
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    }
    echo: Any = grpc.method_handlers_generic_handler("test.Echo", methods)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[echo])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/echo" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def http_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_grpc_client_gets_many_more_answers_than_fit_a_flow_control_window(grpc_port: int) -> None:
    body = b"x" * 3000
    with connected(Target(port=grpc_port, path=ECHO, body=body)) as ask:
        answers = {ask() for _ in range(200)}

    assert {body} == answers


def test_a_grpc_error_is_raised_with_its_words_and_the_connection_goes_on(grpc_port: int) -> None:
    with connected(Target(port=grpc_port, path=REFUSE, body=b"x")) as ask:
        for _ in range(2):
            with pytest.raises(ConnectionError, match="no such thing"):
                ask()


def test_a_rest_client_keeps_its_connection(http_port: int) -> None:
    with connected(Target(port=http_port, path="/echo", body=b"[1]", rest=True)) as ask:
        answers = [ask() for _ in range(3)]

    assert [b"[1]"] * 3 == answers


def test_a_rest_error_is_raised(http_port: int) -> None:
    with (
        connected(Target(port=http_port, path="/other", body=b"why", rest=True)) as ask,
        pytest.raises(ConnectionError, match="HTTP 500: b'why'"),
    ):
        ask()


def test_clients_ask_at_once_and_count_what_they_see(grpc_port: int) -> None:
    target = Target(port=grpc_port, path=ECHO, body=b"x")
    with Clients(2) as clients:
        window = clients.run(target, seconds=0.1)
        arrivals = clients.pace(target, seconds=0.2, rate=50.0).result()

    assert window.failures == 0
    assert window.rate > 0
    assert [True] * 10 == [arrival.answered for arrival in arrivals]
