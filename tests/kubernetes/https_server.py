"""An HTTPS server on 127.0.0.1 whose connections and threads all end with it."""

import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.certificates import Authority
from tests.kubernetes.answers import Answer, ConnectionCutError, HttpRequest, Stream

Respond = Callable[[HttpRequest], Answer | Stream]


class HttpsServer(ThreadingHTTPServer):
    """Answers from the start on, until `close`.

    Args:
        is_reachable: whether new connections are accepted.
    """

    daemon_threads = False

    def __init__(self, port: int, authority: Authority, respond: Respond, is_reachable: Callable[[], bool]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.socket = _tls(authority).wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.respond = respond
        self._is_reachable = is_reachable
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="Kubernetes API")
        self._thread.start()

    def close(self) -> None:
        """Close every connection, and wait for all threads."""
        self.shutdown()
        self._thread.join()
        for each in list(self._connections):
            cut(each)
        self.server_close()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._is_reachable()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may close its connection at any moment; other errors are of this program."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def cut(connection: socket.socket) -> None:
    """Close both directions without the farewell of TLS, as a broken network does."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    connection: ssl.SSLSocket
    server: HttpsServer

    def _answer(self) -> None:
        request = HttpRequest(
            self.command,
            self.path,
            self._who(),
            media_type=self.headers.get("Content-Type", "").partition(";")[0],
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            accept=self.headers.get("Accept", ""),
        )
        try:
            answer = self.server.respond(request)
            if isinstance(answer, Stream):
                self._send_parts(answer)
            else:
                self._send(answer)
        except ConnectionCutError:
            self.close_connection = True
            cut(self.connection)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _answer  # noqa: N815 - the names that http.server calls

    def _who(self) -> str:
        """The token, or the name in the certificate of the client; empty for nobody."""
        if token := self.headers.get("Authorization", "").removeprefix("Bearer "):
            return token
        subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
        return next((str(value) for part in subject for key, value in part if key == "commonName"), "")

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def _send_parts(self, stream: Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", stream.media_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in _until_cut(stream):
            if part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def handle(self) -> None:
        # A client that does not trust the server, or has given up, closes the connection.
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def _until_cut(stream: Stream) -> Iterator[bytes]:
    for number, part in enumerate(stream.parts):
        if number == stream.cut_after:
            raise ConnectionCutError
        yield part
    if stream.cut_after is not None:
        raise ConnectionCutError


def _tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b"".join(authority.issue("kubernetes")))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context
