"""The HTTP server of the gateway: uvicorn, with bounds for clients and an end that loses no request.

    SIGTERM -> `Stopping` is set, so /readyz says 503; connections are still accepted for `drain_seconds`
            -> the listening sockets close; requests in flight have `grace_seconds` to end
            -> `serve` returns

With the defaults that takes at most 20 seconds, and a second without requests in flight.
"""

import asyncio
import logging
import resource
import socket
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from serving.gateway.http.asgi import App
from serving.gateway.http.connection import Connection, connection_class
from serving.gateway.http.memory import return_large_blocks
from serving.gateway.http.stopping import Stopping
from serving.gateway.offload import Threads
from serving.gateway.settings import Settings
from serving.http.config import BACKLOG, quiet_config

DRAIN_SECONDS = 1.0
GRACE_SECONDS = 18
# Files besides those of clients: connections to replicas, the log, libraries.
SPARE_FILES = 1024
# On the port for metrics, besides those of clients, so that these cannot shut out Prometheus. They are spare files.
METRICS_CONNECTIONS = 64

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Stops in steps: see the top of this file.

    Args:
        app: the application; its lifespan runs before the first request and after the last one.
        stopping: set when the stop begins.
        connection: the class of its connections, from `connection_class`.
        drain_seconds: how long connections are still accepted.
        grace_seconds: how long requests in flight may take then; what is left is answered 503.
    """

    def __init__(
        self,
        app: App,
        *,
        stopping: Stopping,
        connection: type[Connection] | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        grace_seconds: int = GRACE_SECONDS,
    ) -> None:
        made = connection or connection_class()
        super().__init__(quiet_config(app, made, lifespan="on", grace_seconds=grace_seconds))
        self._stopping = stopping
        self._drain_seconds = drain_seconds
        self._closes: float | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        # Look-ups of names are in this pool, and may take longer than the end of the process waits.
        asyncio.get_running_loop().set_default_executor(Threads(thread_name_prefix="default"))
        await super().serve(sockets)

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


def serve(app: FastAPI, settings: Settings) -> int:
    """Answer until SIGTERM or SIGINT and return 0 when all is closed; 1 if a port cannot be had.

    Each line of the access log goes to standard output, and nothing else does.
    """
    return_large_blocks()
    connections = room_for(settings.limits.connections)
    sockets: list[socket.socket] = []
    for host, port in ports_of(settings):
        try:
            sockets.append(_listener(host, port))
        except OSError as error:
            print(f"error: {host}:{port} cannot be listened on: {error.strerror}", file=sys.stderr)  # noqa: T201
            return 1
    connection = connection_class(
        largest_connections=connections, largest_of_port={settings.metrics_port: METRICS_CONNECTIONS}
    )
    Server(app, stopping=app.state.stopping, connection=connection).run(sockets)
    return 0


def ports_of(settings: Settings) -> list[tuple[str, int]]:
    """Where the gateway listens; if metrics have a port of their own, that comes second."""
    ports = [(settings.host, settings.port)]
    if settings.metrics_port is not None:
        ports.append((settings.metrics_host, settings.metrics_port))
    return ports


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Connections inherit it; asyncio sets it only where the listening socket names its protocol, as this one does not.
    # Without it the end of an answer waits for the client to confirm its beginning, which takes 40 ms.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def room_for(connections: int) -> int:
    """Raise the limit of open files for so many connections; the number of them that there can be.

    Each connection takes a file, and many systems begin with 1024 although a process may have more. Without a file left
    the gateway could not reach a replica either.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    room = min(connections, max(allowed - SPARE_FILES, allowed // 2))
    if room < connections:
        logger.warning(
            "--connections %d: %d, because a process may open only %d files here", connections, room, allowed
        )
    return room
