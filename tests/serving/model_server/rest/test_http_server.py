"""The REST port over real sockets: what clients may do to it, and how it ends."""

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import httpx
import pytest

from serving.model_server.api import Api
from serving.model_server.rest import http_connection, http_server
from serving.model_server.rest.handler import Handler
from serving.model_server.rest.http_messages import error_page
from serving.model_server.rest.http_server import RestServer
from tests.serving.model_server.world import World, config, eventually

PREDICT = "/v1/models/m:predict"
INSTANCES = {"instances": [1.0, 2.0]}
STATUS_REQUEST = b"GET /v1/models/m HTTP/1.1\r\nHost: a\r\n\r\n"

Opened = Callable[..., "Rest"]


class Rest:
    """A REST server and what clients do to it."""

    def __init__(self, world: World, **options: Any) -> None:
        self.bound = socket.create_server(("127.0.0.1", 0))
        self.port = self.bound.getsockname()[1]
        self.server = RestServer(Handler(Api(world.core, as_content=True), metrics_path="/metrics"), **options)
        self.server.start(self.bound)
        self.bound.close()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def said(self, *parts: bytes) -> bytes:
        """All that is answered to these bytes until the server closes the connection."""
        with self.connect() as opened:
            for part in parts:
                opened.sendall(part)
            return everything(opened)

    def answers(self) -> bool:
        return self.client.get("/v1/models/m").status_code == 200

    def connections(self) -> list[http_connection.Connection]:
        return [cast(http_connection.Connection, each) for each in self.server._uvicorn.server_state.connections]

    def stop(self) -> None:
        self.client.close()
        self.server.stop()
        self.server.wait()


def everything(opened: socket.socket) -> bytes:
    """What comes before the end; a reset ends it, too."""
    heard = b""
    try:
        while more := opened.recv(65536):
            heard += more
    except ConnectionResetError:
        pass
    return heard


@pytest.fixture
def open_rest(world: World) -> Iterator[Opened]:
    world.add(1)
    world.core.reload(config(world.base))
    opened: list[Rest] = []

    def make(**options: Any) -> Rest:
        opened.append(Rest(world, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.stop()


@pytest.fixture
def rest(open_rest: Opened) -> Rest:
    return open_rest()


class Held:
    """Predictions of version 1 stay in flight until they are let through."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived = threading.Semaphore(0)
        self.through = threading.Event()
        run = world.shelf.models[1].run

        def held(*arguments: Any, **options: Any) -> Any:
            self.arrived.release()
            assert self.through.wait(60)
            return run(*arguments, **options)

        monkeypatch.setattr(world.shelf.models[1], "run", held)


@pytest.fixture
def held(world: World, open_rest: Opened, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(world, monkeypatch)
    yield made
    made.through.set()


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_answers_travel_with_their_type_length_and_connection(rest: Rest) -> None:
    status = rest.client.get("/v1/models/m")
    prediction = rest.client.post(PREDICT, json=INSTANCES)
    missing = rest.client.get("/missing")

    assert status.headers["content-type"] == "application/json"
    assert status.json()["model_version_status"][0]["version"] == "1"
    assert prediction.json() == {"predictions": [{"y": 1.0, "z": -1.0}, {"y": 2.0, "z": -2.0}]}
    assert int(prediction.headers["content-length"]) == len(prediction.content)
    assert "server" not in status.headers
    assert (missing.status_code, missing.headers["connection"]) == (404, "close")
    assert missing.headers["content-type"] == "text/html"


def test_the_page_of_metrics_is_plain_text(rest: Rest) -> None:
    assert rest.answers()
    page = rest.client.get("/metrics")

    assert page.headers["content-type"] == "text/plain"
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"}' in page.text


def test_bodies_may_be_chunked_or_compressed(rest: Rest) -> None:
    text = json.dumps(INSTANCES).encode()
    chunked = rest.client.post(PREDICT, content=(bytes([each]) for each in text))
    compressed = rest.client.post(PREDICT, content=gzip.compress(text), headers={"Content-Encoding": "gzip"})

    assert (chunked.status_code, compressed.status_code) == (200, 200)


def test_paths_arrive_as_they_were_sent(world: World, rest: Rest) -> None:
    world.core.reload(config(world.base, name="a/b ä"))

    assert rest.client.get("/v1/models/a%2Fb%20%C3%A4").status_code == 200
    assert rest.client.get("/v1/models/a/b").json() == {"error": "Malformed request: GET /v1/models/a/b"}
    assert rest.client.get("/v1/models/m?a=%20b").json() == {"error": "Could not find any versions of model m?a= b"}


def test_a_head_request_is_answered_without_a_body(rest: Rest) -> None:
    answer = rest.client.head("/v1/models/m")

    assert (answer.status_code, answer.content) == (400, b"")


def test_requests_on_one_connection_are_answered_in_their_order(rest: Rest) -> None:
    last = b"GET /v1/models/no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    said = rest.said(STATUS_REQUEST * 3 + last)

    assert re.findall(rb"HTTP/1.1 (\d+) ", said) == [b"200", b"200", b"200", b"404"]


def test_a_client_that_offers_another_protocol_is_answered_in_this_one(rest: Rest) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    answers = [
        rest.client.get("/v1/models/m", headers=offer),
        rest.client.post(PREDICT, json=INSTANCES, headers=offer),
        rest.client.get("/v1/models/m"),
    ]

    assert [each.status_code for each in answers] == [200, 200, 200]
    assert len(rest.connections()) == 1


def test_a_client_that_has_said_all_is_answered(rest: Rest, held: Held) -> None:
    """...and let go, though it closed only its own half of the connection."""
    with rest.connect() as opened:
        opened.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        opened.sendall(b'{"instances": [1.0]}')
        opened.shutdown(socket.SHUT_WR)
        assert held.arrived.acquire(timeout=30)
        held.through.set()

        assert everything(opened).startswith(b"HTTP/1.1 200 OK")


def test_what_follows_a_last_request_does_not_matter(rest: Rest) -> None:
    last = b"GET /v1/models/m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    assert rest.said(last + b"\r\nanything").startswith(b"HTTP/1.1 200 OK")


def test_an_old_client_is_answered_and_let_go(rest: Rest) -> None:
    assert b" 200 OK\r\n" in rest.said(b"GET /v1/models/m HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS",
        b"GET\r\n\r\n",
        b"GET /v1/models/m HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v1/models/m HTTP/9.9\r\n\r\n",
        b"GET /v1/models/\xff\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/models/m[1] HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://host HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_hurts_nobody(rest: Rest, request_bytes: bytes) -> None:
    said = rest.said(request_bytes)

    assert said.split(b"\r\n")[0] == b"HTTP/1.1 400 Bad Request"
    assert said.endswith(error_page(400).body)
    assert rest.answers()


def test_a_body_too_large_is_refused_before_it_comes(rest: Rest) -> None:
    said = rest.said(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n[1, 2")

    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.endswith(error_page(413).body)
    assert rest.answers()


def test_a_body_that_grows_too_large_is_not_kept(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "LARGEST_BODY", 100_000)
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = rest.said(head, b"10000\r\n" + b"1" * 0x10000 + b"\r\n", b"10000\r\n" + b"1" * 0x10000 + b"\r\n")

    assert said.startswith(b"HTTP/1.1 413 ")


def test_a_head_without_an_end_is_refused(rest: Rest) -> None:
    endless = b"GET /v1/models/m HTTP/1.1\r\n" + b"x: 1\r\n" * 5_000_000
    with rest.connect() as opened, pytest.raises((ConnectionResetError, BrokenPipeError)):
        opened.sendall(endless)

    assert rest.answers()


def test_a_silent_client_is_let_go(open_rest: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """...before its first request, within one, and after it."""
    monkeypatch.setattr(http_connection.Connection, "idle_seconds", 0.2)
    rest = open_rest()

    assert rest.said(b"") == b""
    assert rest.said(b"GET /v1/mod") == b""
    assert rest.said(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{") == b""
    eventually(lambda: rest.said(STATUS_REQUEST).startswith(b"HTTP/1.1 200 OK"))


def test_a_request_may_take_longer_than_a_client_may_be_silent(
    rest: Rest, held: Held, elsewhere: ThreadPoolExecutor
) -> None:
    answer = elsewhere.submit(rest.client.post, PREDICT, json=INSTANCES)
    assert held.arrived.acquire(timeout=30)
    (opened,) = rest.connections()
    opened.loop.call_soon_threadsafe(opened.timeout_keep_alive_handler)
    held.through.set()

    assert answer.result(30).status_code == 200


def test_a_client_that_does_not_take_its_answer_is_let_go(rest: Rest) -> None:
    body = json.dumps({"instances": [1.0] * 200_000}).encode()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", rest.port))
        slow.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (PREDICT.encode(), len(body)))
        slow.sendall(body)
        eventually(lambda: any(each.cycle and each.cycle.response_complete for each in rest.connections()), seconds=30)
        (opened,) = rest.connections()
        assert opened.transport.get_write_buffer_size() > 0
        for _ in range(2):
            opened.loop.call_soon_threadsafe(opened.timeout_keep_alive_handler)

        eventually(lambda: not rest.connections())


def test_clients_that_vanish_leave_nothing_behind(rest: Rest, held: Held) -> None:
    post = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"
    for body in (b"", b'{"instances"', b'{"instances": [1.0]}'):
        with rest.connect() as opened:
            opened.sendall(post + body)
            if len(body) == 20:
                assert held.arrived.acquire(timeout=30)
    held.through.set()

    assert rest.answers()
    rest.client.close()
    eventually(lambda: not rest.connections())


def test_as_many_requests_are_handled_at_a_time_as_there_are_threads(
    open_rest: Opened, held: Held, elsewhere: ThreadPoolExecutor
) -> None:
    """...and those beyond wait for their turn."""
    rest = open_rest(threads=2)
    answers = [elsewhere.submit(rest.client.post, PREDICT, json=INSTANCES) for _ in range(4)]
    for _ in range(2):
        assert held.arrived.acquire(timeout=30)

    assert not held.arrived.acquire(timeout=0.3)
    held.through.set()
    assert [each.result(30).status_code for each in answers] == [200] * 4


def test_stopping_lets_requests_in_flight_end_and_takes_no_more(
    open_rest: Opened, held: Held, elsewhere: ThreadPoolExecutor
) -> None:
    rest = open_rest(grace_seconds=60)
    idle = rest.connect()
    answer = elsewhere.submit(rest.client.post, PREDICT, json=INSTANCES)
    assert held.arrived.acquire(timeout=30)
    rest.server.stop()

    assert everything(idle) == b""
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        rest.connect()
    held.through.set()
    assert answer.result(30).status_code == 200
    rest.server.wait()


def test_a_request_that_outlasts_the_grace_is_told_so(
    open_rest: Opened, held: Held, elsewhere: ThreadPoolExecutor
) -> None:
    rest = open_rest(grace_seconds=0)
    answer = elsewhere.submit(rest.client.post, PREDICT, json=INSTANCES)
    assert held.arrived.acquire(timeout=30)
    rest.server.stop()

    assert answer.result(30).status_code == 503
    rest.server.wait()
