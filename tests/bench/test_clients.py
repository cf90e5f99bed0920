"""The load generator's clients against real servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import pytest

from bench.serving.load import BusyError, Clients, Target, connected

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
        self.send_response({"/echo": 200, "/busy": 503}.get(self.path, 500))
        self.send_header("Retry-After", "7")
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


def test_a_grpc_client_sends_more_than_fits_a_frame_or_a_window(grpc_port: int) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate((10, 20_000, 300_000, 70_000))]
    target = Target(port=grpc_port, path=ECHO, body=bodies[0], others=tuple(bodies[1:]))
    with connected(target) as ask:
        answers = [ask() for _ in range(3 * len(bodies))]

    assert 3 * bodies == answers


def test_a_grpc_error_is_raised_with_its_words_and_the_connection_goes_on(grpc_port: int) -> None:
    with connected(Target(port=grpc_port, path=REFUSE, body=b"x")) as ask:
        for _ in range(2):
            with pytest.raises(ConnectionError, match="no such thing"):
                ask()


def test_a_rest_client_keeps_its_connection(http_port: int) -> None:
    with connected(Target(port=http_port, path="/echo", body=b"[1]", rest=True)) as ask:
        answers = [ask() for _ in range(3)]

    assert [b"[1]"] * 3 == answers


def test_a_rest_client_sends_its_bodies_in_turn_with_their_type(http_port: int) -> None:
    target = Target(port=http_port, path="/echo", body=b"a", others=(b"bb",), rest=True, content_type="image/png")
    with connected(target) as ask:
        answers = [ask() for _ in range(4)]

    assert [b"a", b"bb"] * 2 == answers
    assert all(b"Content-Type: image/png\r\n" in request for request in target.http_requests())


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(http_port: int) -> None:
    with (
        connected(Target(port=http_port, path="/busy", body=b"x", rest=True)) as ask,
        pytest.raises(BusyError, match="HTTP 503: b'x'") as caught,
    ):
        ask()
    with Clients(1) as clients:
        window = clients.run(Target(port=http_port, path="/busy", body=b"x", rest=True), 0.3)

    assert 7.0 == caught.value.seconds
    assert (1, 0, []) == (window.busy, window.failures, window.latencies)


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
