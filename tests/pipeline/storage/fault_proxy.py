"""A proxy in front of an object store that loses, delays and refuses requests, one by one, as a test tells it to.

`proxy` is a fixture: a test module that wants it imports it, and `store` of `tests.object_storage` with it.
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

import pytest

from tests.object_storage import VARIABLE, ObjectStore

HOST = "127.0.0.1"
ALWAYS = 1_000_000
# An answer is sent with a length of its own, over a connection that stays open.
NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length"}
WAIT = 60


class Store(Protocol):
    """Any that listens on this machine."""

    port: int


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    # As it is announced; a body that ends before is one that broke off.
    length: int = -1

    def __post_init__(self) -> None:
        if self.length < 0:
            self.length = len(self.body)


# What a fault does with a request, given the way to the store; None: the connection is reset.
Fault = Callable[[Callable[[], Answer]], Answer | None]


def refused(status: int, message: str = "as the test wants it") -> Fault:
    """Answered without the store, the way Google says it."""
    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    return lambda _: Answer(status, [("Content-Type", "application/json")], body)


def s3_refused(status: int, code: str, message: str = "as the test wants it") -> Fault:
    """The same, the way Amazon says it."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return lambda _: Answer(status, [("Content-Type", "application/xml")], body)


def lost_before(_: Callable[[], Answer]) -> None:
    """The connection is reset, and the store never hears of the request."""


def lost_after(forward: Callable[[], Answer]) -> None:
    """The store does what was asked, and the connection is reset instead of an answer."""
    forward()


@dataclass
class Held:
    """Kept from the store until the test lets it go on; so something else can happen in between."""

    arrived: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, forward: Callable[[], Answer]) -> Answer:
        self.arrived.set()
        assert self.go_on.wait(WAIT), "the test never let the request go on"
        return forward()


@dataclass
class _Rule:
    fault: Fault
    request: str
    times: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close at once: a shutdown before that would be a farewell, and nothing would be reset."""
        self.close_request(request)


class FaultProxy:
    """On a port of its own; without faults it passes everything on.

    Attributes:
        seen: "METHOD path" of every request, in the order in which they came.
        headers: those of every request, in the same order.
        passed_on: those the store has heard of.
    """

    def __init__(self, store: Store) -> None:
        self._port = store.port
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.passed_on: list[str] = []
        self._server = _Server((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.endpoint = f"http://{HOST}:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def inject(self, fault: Fault, *, request: str = "", times: int = ALWAYS) -> None:
        """Let the next `times` requests whose "METHOD path" holds `request` meet the fault."""
        with self._lock:
            self._rules.append(_Rule(fault, request, times))

    def heal(self) -> None:
        with self._lock:
            self._rules.clear()

    def swallowed(self, _: Callable[[], Answer]) -> None:
        """A fault: no answer while this proxy runs."""
        self._over.wait(WAIT)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: the second one would wait up to 40 ms for the delayed ACK of the first.
            disable_nagle_algorithm = True

            def _meet(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = proxy._answer(self, body)
                if answer is None:
                    _reset(self)
                    return
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(answer.length))
                self.end_headers()
                self.wfile.write(answer.body)

            # The names that the base class calls.
            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _meet  # noqa: N815

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    # Whoever asked has not waited for the answer.
                    self.close_connection = True

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        request = f"{handler.command} {handler.path}"

        def forward() -> Answer:
            self.passed_on.append(request)
            return self._forward(handler, body)

        fault = self._fault(request, dict(handler.headers.items()))
        return fault(forward) if fault else forward()

    def _fault(self, request: str, headers: dict[str, str]) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            self.headers.append(headers)
            for rule in self._rules:
                if rule.times > 0 and rule.request in request:
                    rule.times -= 1
                    return rule.fault
        return None

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=WAIT)
        try:
            headers = dict(handler.headers.items()) | {"Host": f"{HOST}:{self._port}", "Connection": "close"}
            connection.request(handler.command, handler.path, body=body, headers=headers)
            response = connection.getresponse()
            kept = [(name, value) for name, value in response.getheaders() if name.lower() not in NOT_PASSED_ON]
            answer = Answer(response.status, kept, response.read())
            if handler.command == "HEAD":
                answer.length = int(response.headers.get("Content-Length", 0))
            return answer
        finally:
            connection.close()


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close without a farewell: lingering for no time at all makes the system send a reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


@pytest.fixture
def proxy(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Whoever connects to the object store while a test runs comes through here."""
    made = FaultProxy(store)
    made.start()
    monkeypatch.setenv(VARIABLE, made.endpoint)
    yield made
    made.stop()
