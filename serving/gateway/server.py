"""The HTTP server of the gateway: uvicorn, with bounds for clients and an end that loses no request.

    SIGTERM -> `Stopping` is set, so /readyz says 503; connections are still accepted for `drain_seconds`
            -> the listening sockets close; requests in flight have `grace_seconds` to end
            -> `serve` returns

With the defaults that takes at most 20 seconds, and a second without requests in flight.
"""

import logging
import resource
import time
from collections.abc import Sequence
from socket import socket
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from serving.gateway.connection import Connection

if TYPE_CHECKING:
    from serving.gateway.asgi import App

BACKLOG = 2048
DRAIN_SECONDS = 1.0
GRACE_SECONDS = 18


class Stopping:
    """Whether the gateway is about to stop. Readable from any thread; once set it stays."""

    def __init__(self) -> None:
        self._set = False

    def __bool__(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True


class Server(uvicorn.Server):
    """Stops in steps: see the top of this file.

    Args:
        app: the application; its lifespan runs before the first request and after the last one.
        stopping: set when the stop begins.
        connection: the class of its connections.
        drain_seconds: how long connections are still accepted.
        grace_seconds: how long requests in flight may take then; what is left is answered 503.
    """

    def __init__(
        self,
        app: "App",
        *,
        stopping: Stopping,
        connection: type[Connection] = Connection,
        drain_seconds: float = DRAIN_SECONDS,
        grace_seconds: int = GRACE_SECONDS,
    ) -> None:
        # A client that sends nonsense is no reason for a line, and the access log is the gateway's own.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        super().__init__(_config(app, connection, grace_seconds))
        self._stopping = stopping
        self._drain_seconds = drain_seconds
        self._closes: float | None = None

    def stop(self) -> None:
        """Begin to stop, and return at once. The second time, do not accept connections for any longer."""
        if self._closes is not None:
            self.should_exit = True
            return
        self._closes = time.monotonic() + self._drain_seconds
        self._stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop, and leave it to the caller of `serve` how the process ends: uvicorn would raise the signal again."""
        self.stop()

    async def on_tick(self, counter: int) -> bool:
        if self._closes is not None and time.monotonic() >= self._closes:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(app: "App", sockets: Sequence[socket], *, stopping: Stopping) -> None:
    """Answer on these sockets, which are bound already, until SIGTERM or SIGINT; return when all is closed."""
    raise_file_limit()
    Server(app, stopping=stopping).run(list(sockets))


def raise_file_limit() -> None:
    """Each connection takes a file; many systems begin with 1024 although a process may have more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * Connection.largest_connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _config(app: "App", connection: type[Connection], grace_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        cast("Any", app),
        http=connection,
        loop="asyncio",
        ws="none",
        interface="asgi3",
        lifespan="auto",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(connection.idle_seconds),
        timeout_graceful_shutdown=grace_seconds,
    )
