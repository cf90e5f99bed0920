"""In front of the object store of the tests: two things that Google Cloud Storage does and fake-gcs-server does not.

It refuses a request without the access token of the metadata server. And what it says of a missing object begins with
"No such object", by which Airflow's provider decides whether a log is new.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.google_cloud.metadata_server import TOKEN

_OF_ONE_CONNECTION = ("connection", "transfer-encoding", "content-length", "keep-alive")


@contextmanager
def storage_relay(endpoint: str) -> Iterator[str]:
    """The address of the relay. `endpoint` is that of the object store."""

    class Relay(BaseHTTPRequestHandler):
        def _relay(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, [], b"Anonymous caller does not have storage.objects.get access.")
                return
            connection = HTTPConnection(urlsplit(endpoint).netloc)
            connection.request(self.command, self.path, content, dict(self.headers.items()))
            response = connection.getresponse()
            body = response.read()
            self._answer(response.status, _headers(response), _missing(self.path, response.status) or body)
            connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _relay  # noqa: N815 - as the base class calls them

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _headers(response: HTTPResponse) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.getheaders() if name.lower() not in _OF_ONE_CONNECTION]


def _missing(path: str, status: int) -> bytes | None:
    """What Google says if the object of a download does not exist; None for everything else."""
    place, _, rest = path.partition("/download/storage/v1/b/")
    if status != 404 or place:
        return None
    bucket, _, name = rest.partition("?")[0].partition("/o/")
    return f"No such object: {bucket}/{unquote(name)}".encode()
