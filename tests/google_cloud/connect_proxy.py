"""An HTTP proxy that connects known host names to servers of this machine, and no other.

Clients keep the addresses and the encryption that they have in Google Cloud: they connect to `<api>.googleapis.com:443`
through the proxy, and check the certificate of that name.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any


@contextmanager
def connect_proxy(ports: Mapping[str, int]) -> Iterator[str]:
    """The address of the proxy. `ports` are those of 127.0.0.1 by `host:port` of Google Cloud."""

    class Connect(StreamRequestHandler):
        def handle(self) -> None:
            method, target, _ = self.rfile.readline().decode().split(" ")
            while self.rfile.readline().strip():
                pass
            if method != "CONNECT" or target not in ports:
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", ports[target])) as server:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                _copy(self.request, server)
                back.join()

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Connect) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _copy(source: Any, target: Any) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
