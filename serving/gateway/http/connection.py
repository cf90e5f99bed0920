"""One HTTP connection to the gateway: bounds on its head, its silence, and what follows a refused request.

Import it where a server is started and not before, because it imports uvicorn.
"""

from asyncio import BaseTransport, TimerHandle
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving.gateway.http.asgi import error_body
from serving.gateway.settings import Limits
from serving.http.connection import BoundedConnection

MESSAGES = {
    400: "this is not an HTTP request, or its head is larger than {largest_head} bytes",
    408: "the head of the request did not come within {head_seconds:g} seconds",
    503: "the gateway has all the connections it can have; try again",
}


class OpenConnections:
    """The open connections of one listening port.

    Attributes:
        all: of them.
        waiting: those that have no request to answer; the one that has waited longest is the first.
    """

    def __init__(self) -> None:
        self.all: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}

    def add(self, connection: "Connection") -> None:
        self.all.add(connection)
        self.waiting[connection] = None

    def remove(self, connection: "Connection") -> None:
        self.all.discard(connection)
        self.waiting.pop(connection, None)


class Connection(BoundedConnection):
    """Bounds, each an attribute. Each server needs a class of its own, see `connection_class`.

    Attributes:
        idle_seconds: between two requests; longer than proxies keep an idle connection, so that they close it first.
        head_seconds: from a connection's begin, or the first byte of a later request, to the end of that head.
        largest_connections: at a time, of each listening port. For one more, the one that has waited longest for a
            request is closed; if all are busy, the new one is answered 503 and not read.
        largest_of_port: the same for a port with a number of its own.
        refused_seconds, refused_bytes: how much of the body of a refused request is read and thrown away. A client
            that is still sending would otherwise see a reset instead of the refusal.
    """

    idle_seconds = 75.0
    largest_head = 32 * 1024
    head_seconds = 10.0
    largest_connections = Limits.connections
    refused_seconds = 5.0
    refused_bytes = 16 * 1024 * 1024
    largest_of_port: Mapping[int, int] = {}
    open_by_port: ClassVar[defaultdict[int, OpenConnections]] = defaultdict(OpenConnections)

    _open: OpenConnections
    _head_timer: TimerHandle | None = None
    _refused_timer: TimerHandle | None = None
    _refused_read = 0
    _ends_after_body = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        port = self.server[1] if self.server and self.server[1] else 0
        self._open = self.open_by_port[port]
        if self._has_room(self.largest_of_port.get(port, self.largest_connections)):
            self._open.add(self)
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_late)
        else:
            self.refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._open.remove(self)
        self._end_timers()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._refused_timer is not None:
            self._refused_read += len(data)
            if self._refused_read > self.refused_bytes:
                self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]  # see BoundedConnection
        """A client that closes its connection does not wait for its answer, so nobody works on it any more."""
        return False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_late)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if not self._offer:
            self._open.waiting.pop(self, None)
            self.cycle.transport = cast("Any", _TransportOfAnswer(self, self.cycle))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._refused_timer is not None:
            self._refused_timer.cancel()
            self._refused_timer = None
            if self._ends_after_body:
                self.transport.close()

    def end_after_body(self) -> None:
        """The answer was the last one, and the client is still sending: end this side, and discard the rest."""
        self._ends_after_body = True
        self.transport.write_eof()

    def on_response_complete(self) -> None:
        unread = self.cycle.response_complete and self.cycle.more_body
        super().on_response_complete()
        if self.cycle.response_complete and self in self._open.all:
            self._open.waiting[self] = None
        if unread and not self.transport.is_closing():
            self._refused_read = 0
            self._refused_timer = self.loop.call_later(self.refused_seconds, self.transport.abort)

    def error_answer(self, status: int) -> bytes:
        body = error_body(MESSAGES[status].format(largest_head=self.largest_head, head_seconds=self.head_seconds))
        head = [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]
        if status == 503:
            head.append(b"retry-after: 1")
        return STATUS_LINE[status] + b"\r\n".join(head) + b"\r\n\r\n" + body

    def _has_room(self, largest: int) -> bool:
        """Whether one more connection may be open, now that room was made for it if that was possible."""
        if len(self._open.all) < largest:
            return True
        oldest = next(iter(self._open.waiting), None)
        if oldest is None:
            return False
        self._open.remove(oldest)
        oldest.transport.abort()
        return True

    def _head_late(self) -> None:
        """Nothing is wrong with a connection that was opened and never used, so that one ends without an answer."""
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            # The next request of a client that waits for the answer to an earlier one.
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_late)
        elif self._in_head:
            self.refuse(408)
        else:
            self.transport.close()

    def _end_timers(self) -> None:
        for timer in (self._head_timer, self._refused_timer):
            if timer is not None:
                timer.cancel()


class _TransportOfAnswer:
    """What uvicorn writes one answer to. To close it while a body is on its way would reset the connection."""

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        if self._cycle.response_complete and self._cycle.more_body:
            self._connection.end_after_body()
        else:
            self._connection.transport.close()


def connection_class(**bounds: Any) -> type[Connection]:
    """The class of the connections of one server, which counts them; its bounds are attributes of Connection."""
    return type("Connection", (Connection,), {"open_by_port": defaultdict(OpenConnections), **bounds})
