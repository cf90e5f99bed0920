"""One HTTP connection: uvicorn's, with bounds on what a client may send and on how long it may take.

Import it where a server is started and not before, because it imports uvicorn. A server derives a class of its own
from it, whose attributes are the bounds.
"""

from asyncio import BaseTransport, Transport
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedConnection(HttpToolsProtocol):
    """Closes when a client does not go on with its request, or does not take its answer.

    Attributes:
        idle_seconds: how long a client may be silent while it is its turn.
        largest_head: bytes that a request may hold ahead of its body, between two parts of it, or behind it. What is
            behind it (trailers) is not kept: the application has the head already.
    """

    idle_seconds: float
    largest_head: int
    _in_head = False
    _offer = False
    _went_on = False
    _no_body_bytes = 0
    _unsent = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = Parser(self)

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        self._went_on = False
        super().data_received(data)
        self._no_body_bytes = 0 if self._went_on else self._no_body_bytes + len(data)
        if self._no_body_bytes > self.largest_head and not self.transport.is_closing():
            self.send_400_response("")
        self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps what asyncio lets it keep
        """A client that says no more may be waiting for its answer."""
        if self._at_work():
            self.cycle.keep_alive = False
            return True
        return False

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._went_on = False, True
        self._offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._offer:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._went_on = True
        if not self._offer:
            super().on_message_complete()

    def decline_offer(self, rest: bytes) -> None:
        """Read the request, of which only the head is known, as one that offers nothing."""
        version = self.parser.get_http_version().encode()
        lines = [b" ".join([self.parser.get_method(), self.url, b"HTTP/" + version])]
        lines += [name + b": " + value for name, value in self.headers if name not in (b"connection", b"upgrade")]
        self.parser = Parser(self)
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while: end it, unless the server is still at it or the client still taking its answer."""
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        self._unsent = unsent
        if self._at_work() or 0 < unsent != before:
            self._watch()
        else:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - upstream gives no reason
        self.refuse(400)

    def refuse(self, status: int) -> None:
        """Answer what the application never sees, and end the connection."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(self.error_answer(status))
        self.transport.close()

    def error_answer(self, status: int) -> bytes:
        """A whole answer, head and body; it says that the connection is closed."""
        raise NotImplementedError

    def _at_work(self) -> bool:
        """Whether it is the server's turn: the request is complete, its answer is not."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _watch(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.idle_seconds, self.timeout_keep_alive_handler)


class Parser(httptools.HttpRequestParser):
    """For a connection that stays with HTTP/1.1, whatever its client would rather speak."""

    def __init__(self, connection: BoundedConnection) -> None:
        super().__init__(connection)
        # What follows the last request of a connection is no reason not to answer that request.
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._connection = connection

    def feed_data(self, data: Any) -> None:
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._connection.decline_offer(bytes(data[offer.args[0] :]))
