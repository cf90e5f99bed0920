"""How uvicorn is started by the servers of this project. Import it where a server is started: it imports uvicorn."""

import logging
from typing import Any, Literal

import uvicorn

from serving.http.connection import BoundedConnection

# Connections that wait to be accepted.
BACKLOG = 2048


def quiet_config(
    app: Any, connection: type[BoundedConnection], *, lifespan: Literal["on", "off"], grace_seconds: int
) -> uvicorn.Config:
    """A server that logs nothing unless something of its own breaks.

    Args:
        app: in ASGI 3.
        connection: the class of its connections.
        lifespan: whether the application has something to start and to stop. With "auto", a failure to start would be
            taken for an application that has nothing to start.
        grace_seconds: how long requests in flight may take when it stops.
    """
    # A client that sends nonsense is no reason for a line.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=connection,
        loop="asyncio",
        ws="none",
        interface="asgi3",
        lifespan=lifespan,
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(connection.idle_seconds),
        timeout_graceful_shutdown=grace_seconds,
    )
