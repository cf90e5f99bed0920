"""The server over real sockets: slow clients, refused requests, many connections, and its end (F55, F59)."""

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest

from serving.gateway.http.asgi import Receive, Scope, Send, header, send_body, send_error
from serving.gateway.http.connection import Connection, connection_class
from serving.gateway.http.server import GRACE_SECONDS, Server, _listener, room_for
from serving.gateway.http.stopping import Stopping

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
# Longer than any step of a test takes, so that nothing but what a test is about ends a connection.
LONG = 60.0


class Application:
    """Answers at once; `/held` when it is let through, `/refused` without reading the body."""

    def __init__(self) -> None:
        self.stopping = Stopping()
        self.arrived = threading.Semaphore(0)
        self.through = threading.Event()
        self.closed = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/refused":
            await send_error(send, 413, "The body is too large.")
        else:
            await self._read_and_answer(scope, receive, send)

    async def _read_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        if scope["path"] == "/held":
            self.arrived.release()
            while not self.through.is_set():
                await asyncio.sleep(0.005)
        body = {"size": size, "stopping": bool(self.stopping), "host": header(scope, b"host")}
        await send_body(send, 200, json.dumps(body).encode(), content_type=b"application/json")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.closed.set()
        await send({"type": "lifespan.shutdown.complete"})


class Running:
    """A server on a thread, and what clients do to it."""

    def __init__(self, *listeners: socket.socket, drain_seconds: float, grace_seconds: int, **bounds: Any) -> None:
        self.app = Application()
        self.connection_class = connection_class(**bounds)
        self.server = Server(
            self.app,
            stopping=self.app.stopping,
            connection=self.connection_class,
            drain_seconds=drain_seconds,
            grace_seconds=grace_seconds,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([listener, *listeners],), daemon=True)
        self.thread.start()
        eventually(lambda: self.server.started)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def said(self, *parts: bytes) -> bytes:
        """All that comes until the server closes the connection."""
        with self.connect() as opened:
            for part in parts:
                opened.sendall(part)
            return everything(opened)

    def connection(self) -> Connection:
        """The only one that is open."""
        eventually(lambda: len(self.server.server_state.connections) == 1)
        (opened,) = self.server.server_state.connections
        return cast("Connection", opened)

    def end(self) -> None:
        self.app.through.set()
        self.server.stop()
        self.server.stop()
        self.thread.join(30)


@contextmanager
def running(
    *listeners: socket.socket, drain_seconds: float = 0.0, grace_seconds: int = GRACE_SECONDS, **bounds: Any
) -> Iterator[Running]:
    server = Running(*listeners, drain_seconds=drain_seconds, grace_seconds=grace_seconds, **bounds)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def patient() -> Iterator[Running]:
    """A server with its own bounds; no test reaches them by waiting."""
    with running() as server:
        yield server


def eventually(fact: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.005)


def everything(opened: socket.socket) -> bytes:
    heard = b""
    try:
        while more := opened.recv(65536):
            heard += more
    except ConnectionResetError:
        pass
    return heard


def one_answer(opened: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and JSON of the next answer of a connection that stays open."""
    file = opened.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name] = value
    return status, headers, json.loads(file.read(int(headers["content-length"])))


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


def test_an_answer_does_not_say_what_server_it_is(patient: Running) -> None:
    with patient.connect() as opened:
        opened.sendall(GET)
        status, headers, body = one_answer(opened)

    assert (200, "a") == (status, body["host"])
    assert {"date", "content-type", "content-length"} == set(headers)


def test_a_connection_is_used_again(patient: Running) -> None:
    with patient.connect() as opened:
        for size in (0, 5, 100_000):
            opened.sendall(POST % size + b"x" * size)

            assert one_answer(opened)[2]["size"] == size


@pytest.mark.parametrize("head", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX", b"POST / HTTP/1.1\r\n\r"])
def test_a_head_that_does_not_end_is_408(patient: Running, head: bytes) -> None:
    with patient.connect() as opened:
        opened.sendall(head)
        eventually(lambda: patient.connection()._in_head)
        assert patient.connection()._head_timer is not None
        patient.connection().loop.call_soon_threadsafe(patient.connection()._head_late)
        said = everything(opened)

    assert status_of(said) == 408
    assert b'{"error": "the head of the request did not come' in said


def test_a_byte_now_and_then_does_not_keep_a_head_alive(patient: Running) -> None:
    """The time of a head began with its first byte."""
    with patient.connect() as opened:
        opened.sendall(b"GET / HTTP/1.1\r\n")
        eventually(lambda: patient.connection()._in_head)
        connection = patient.connection()
        timer = connection._head_timer
        for byte in b"X: a\r\nY":
            opened.sendall(bytes([byte]))
        eventually(lambda: (b"x", b"a") in connection.headers)
        assert timer is not None
        assert timer is connection._head_timer
        connection.loop.call_soon_threadsafe(connection._head_late)
        answer = everything(opened)

    assert 408 == status_of(answer)


def test_a_connection_that_is_not_used_ends_without_an_answer() -> None:
    with running(head_seconds=0.1) as server:
        assert server.said() == b""


def test_the_head_of_a_later_request_has_its_time_too(patient: Running) -> None:
    with patient.connect() as opened:
        opened.sendall(GET)
        first = one_answer(opened)[0]
        opened.sendall(GET[:10])
        eventually(lambda: patient.connection()._in_head)
        assert patient.connection()._head_timer is not None
        patient.connection().loop.call_soon_threadsafe(patient.connection()._head_late)

        assert (200, 408) == (first, status_of(everything(opened)))


def test_between_two_requests_and_during_one_no_head_is_waited_for(patient: Running) -> None:
    with patient.connect() as opened:
        opened.sendall(GET)
        one_answer(opened)
        assert patient.connection()._head_timer is None
        opened.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        assert patient.app.arrived.acquire(timeout=30)
        assert patient.connection()._head_timer is None
        patient.app.through.set()

        assert one_answer(opened)[0] == 200


def test_a_connection_that_stays_idle_is_closed() -> None:
    with running(idle_seconds=0.1) as server, server.connect() as opened:
        opened.sendall(GET)
        eventually(lambda: not server.server.server_state.connections)

        assert status_of(everything(opened)) == 200


def test_a_head_that_is_too_large_is_refused(patient: Running) -> None:
    with patient.connect() as opened:
        sender = threading.Thread(target=send_all, args=(opened, GET[:-2] + b"x: 1\r\n" * 100_000))
        sender.start()
        said = everything(opened)
        sender.join()

    assert said == b"" or status_of(said) == 400


def send_all(opened: socket.socket, text: bytes) -> None:
    with suppress(OSError):
        opened.sendall(text)


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]
)
def test_what_is_not_http_is_400_with_the_reason(patient: Running, nonsense: bytes) -> None:
    said = patient.said(nonsense)

    assert status_of(said) == 400
    assert json.loads(said.rpartition(b"\r\n")[2])["error"].startswith("this is not an HTTP request")


def test_a_body_too_large_is_refused_before_it_is_read(patient: Running) -> None:
    """F55: the answer is there when nothing of a gigabyte has been sent."""
    with patient.connect() as opened:
        opened.sendall(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n")
        status, headers, _ = one_answer(opened)

    assert status == 413
    assert "connection" not in headers


def test_who_asks_whether_to_send_a_body_is_told_the_refusal(patient: Running) -> None:
    with patient.connect() as opened:
        head = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        opened.sendall(head)

        assert one_answer(opened)[0] == 413


def test_after_a_refused_body_that_came_the_connection_is_used_again(patient: Running) -> None:
    with patient.connect() as opened:
        opened.sendall(POST.replace(b"/", b"/refused", 1) % 500_000 + b"x" * 500_000)
        refused = one_answer(opened)[0]
        opened.sendall(GET)

        assert (413, 200) == (refused, one_answer(opened)[0])
        assert patient.connection()._refused_timer is None


def test_a_connection_that_ends_with_a_refusal_is_not_reset_before_it_is_read(patient: Running) -> None:
    """...although most of the body has not been sent when the answer is written."""
    with patient.connect() as opened:
        head = b"POST /refused HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n"
        opened.sendall(head)
        opened.sendall(b"x" * 10_000_000)

        assert status_of(everything(opened)) == 413
        eventually(lambda: not patient.server.server_state.connections)


def test_a_client_that_sends_on_after_a_refusal_reads_it_and_is_cut_off() -> None:
    with running(refused_bytes=1_000_000) as server, server.connect() as opened:
        opened.sendall(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n")
        refused = one_answer(opened)[0]
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            opened.sendall(b"x" * 200_000_000)

        assert refused == 413


def test_a_client_that_stops_after_a_refusal_is_cut_off() -> None:
    with running(refused_seconds=0.1) as server:
        assert status_of(server.said(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx")) == 413


def test_beyond_the_bound_the_connection_that_waits_longest_for_a_request_is_closed() -> None:
    """So silent clients cannot shut out a probe; those that are used go on."""
    with running(largest_connections=3) as server:
        silent, used, half = [server.connect() for _ in range(3)]
        half.sendall(GET[:7])
        used.sendall(GET)
        assert one_answer(used)[0] == 200
        eventually(lambda: len(server.server.server_state.connections) == 3)
        with server.connect() as opened:
            opened.sendall(GET)

            assert one_answer(opened)[0] == 200
            assert everything(silent) == b""
            used.sendall(GET)
            assert one_answer(used)[0] == 200
        for each in (silent, used, half):
            each.close()


def test_beyond_the_bound_a_connection_is_refused_at_once_if_all_others_are_busy() -> None:
    with running(largest_connections=2) as server:
        busy = [server.connect() for _ in range(2)]
        for each in busy:
            each.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            assert server.app.arrived.acquire(timeout=30)
        refused = server.said()
        server.app.through.set()

        assert [200, 200] == [one_answer(each)[0] for each in busy]
        assert status_of(refused) == 503
        assert b"retry-after: 1" in refused
        for each in busy:
            each.close()
        eventually(lambda: not server.server.server_state.connections)
        assert not any(port.all for port in server.connection_class.open_by_port.values())


def test_each_listening_port_has_a_bound_of_its_own() -> None:
    """So clients of the API cannot shut out Prometheus."""
    with socket.create_server(("127.0.0.1", 0)) as metrics:
        port = metrics.getsockname()[1]
        with running(metrics, largest_connections=1, largest_of_port={port: 1}) as server, server.connect() as held:
            held.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            assert server.app.arrived.acquire(timeout=30)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as opened:
                opened.sendall(GET)

                assert one_answer(opened)[0] == 200
            assert status_of(server.said()) == 503


def test_what_follows_a_body_is_not_kept() -> None:
    """Trailers would be appended to the headers of a request that is being answered."""
    with running() as server, server.connect() as opened:
        opened.sendall(CHUNKED + b"0\r\nX-API-Key: late\r\n" + b"a:b\r\n" * 100)
        eventually(lambda: server.connection().cycle is not None and server.connection()._no_body_bytes == 0)
        opened.sendall(b"a:b\r\n" * 100)
        eventually(lambda: server.connection()._no_body_bytes > 0)

        assert [(b"host", b"a"), (b"transfer-encoding", b"chunked")] == server.connection().headers
        opened.sendall(b"\r\n")
        assert one_answer(opened)[0] == 200


@pytest.mark.parametrize("endless", [b"a:b\r\n" * 1000, b"a" * 5000])
@pytest.mark.parametrize("before", [b"0\r\n", b"0\r\na: ", b"1;a="], ids=["trailers", "a trailer", "an extension"])
def test_trailers_and_extensions_without_an_end_are_refused(before: bytes, endless: bytes) -> None:
    """Three connections of 15 MB of trailers made the process grow by 1 GB."""
    with running() as server, server.connect() as opened:
        sender = threading.Thread(target=send_all, args=(opened, CHUNKED + before + endless * 20_000))
        sender.start()
        said = everything(opened)
        sender.join()

        assert said == b"" or status_of(said) == 400
        eventually(lambda: not server.server.server_state.connections)


def test_a_body_in_many_small_chunks_is_read_to_its_end(patient: Running) -> None:
    """...though more bytes stand between its parts than a head may have."""
    with patient.connect() as opened:
        opened.sendall(CHUNKED + b"1;extension\r\nx\r\n" * 20_000 + b"0\r\n\r\n")

        assert one_answer(opened)[2]["size"] == 20_000


def test_a_client_that_closes_its_connection_is_gone() -> None:
    """With a FIN, as programs end; the application sees it while it works."""
    with running() as server:
        with server.connect() as opened:
            opened.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            assert server.app.arrived.acquire(timeout=30)
            cycle = server.connection().cycle
        eventually(lambda: cycle.disconnected)

        assert not server.app.through.is_set()


def test_a_thousand_idle_connections_hinder_nobody(patient: Running) -> None:
    room_for(2000)
    idle = [patient.connect() for _ in range(1000)]
    try:
        with patient.connect() as opened:
            opened.sendall(GET)

            assert one_answer(opened)[0] == 200
    finally:
        for each in idle:
            each.close()


def test_clients_that_vanish_leave_nothing_behind() -> None:
    with running() as server:
        for part in (b"", GET[:7], POST % 100, POST % 100 + b"x", GET):
            with server.connect() as opened:
                opened.sendall(part)

        eventually(lambda: not server.server.server_state.connections)
        eventually(lambda: not server.server.server_state.tasks)


def test_a_stop_is_said_at_once_and_requests_in_flight_end() -> None:
    with running(drain_seconds=LONG) as server, ThreadPoolExecutor(1) as elsewhere:
        held = elsewhere.submit(server.said, b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.app.arrived.acquire(timeout=30)
        server.server.stop()
        with server.connect() as opened:
            opened.sendall(GET)
            _, _, body = one_answer(opened)
        server.server.stop()
        eventually(lambda: refuses(server.port))
        server.app.through.set()

        assert body["stopping"] is True
        assert status_of(held.result(30)) == 200
        server.thread.join(30)
        assert server.app.closed.is_set()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_does_not_wait_for_idle_connections() -> None:
    with running() as server, server.connect() as idle:
        idle.sendall(GET)
        one_answer(idle)
        server.server.stop()

        assert everything(idle) == b""
        server.thread.join(30)


def test_with_its_own_figures_a_stop_takes_at_most_20_seconds() -> None:
    server = Server(Application(), stopping=Stopping())

    assert server._drain_seconds + (server.config.timeout_graceful_shutdown or LONG) <= 20


def test_there_are_files_for_all_connections_where_the_system_allows_it() -> None:
    room = room_for(1500)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert soft == resource.RLIM_INFINITY or soft >= min(1500, hard)
    assert room <= 1500
    assert hard == resource.RLIM_INFINITY or room < hard


def test_the_end_of_an_answer_does_not_wait_until_the_client_has_acknowledged_its_beginning() -> None:
    with _listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert 0 != connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
