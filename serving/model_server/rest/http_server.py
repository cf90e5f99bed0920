"""The REST port: uvicorn on a thread of its own, requests answered by a pool of threads."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from serving.model_server.cpus import usable_cpus
from serving.model_server.rest.handler import Handler
from serving.model_server.rest.http_messages import Answer, Request, error_page

if TYPE_CHECKING:
    import uvicorn

# A request larger than this is refused before it is read. Upstream has no limit, and room for none.
LARGEST_BODY = 256 * 2**20
BACKLOG = 2048

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class TooLargeError(Exception):
    pass


class ClientGoneError(Exception):
    pass


class RestServer:
    """Answers from `start` to `stop`; cannot be started twice."""

    def __init__(self, handler: Handler, *, threads: int = 0, grace_seconds: int = 5) -> None:
        """Handle `threads` requests at a time, 0 for four on each CPU; let those in flight take `grace_seconds`."""
        self._pool = ThreadPoolExecutor(threads or 4 * usable_cpus(), thread_name_prefix="rest")
        self._uvicorn = _uvicorn_server(Application(handler, self._pool), grace_seconds)
        self._thread: threading.Thread | None = None

    def start(self, bound: socket.socket) -> None:
        """From here on clients can connect; the socket stays the caller's. Raises OSError when others listen there."""
        bound.listen(BACKLOG)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([bound.dup()],), name="rest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no new connections, and let go of those that ask for nothing; returns at once."""
        self._uvicorn.should_exit = True

    def wait(self) -> None:
        """Return when the requests in flight are answered, or the grace is over. Call `stop` first."""
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _uvicorn_server(application: "Application", grace_seconds: int) -> "uvicorn.Server":
    """A server that is silent unless something of its own breaks; on its own thread it touches no signals."""
    import uvicorn  # noqa: PLC0415 - not needed where REST is off

    from serving.http.config import quiet_config  # noqa: PLC0415 - imports uvicorn
    from serving.model_server.rest.http_connection import Connection  # noqa: PLC0415 - imports uvicorn

    return uvicorn.Server(quiet_config(application, Connection, lifespan="off", grace_seconds=grace_seconds))


class Application:
    """The ASGI side of a Handler: collect the body on the event loop, answer on the pool."""

    def __init__(self, handler: Handler, pool: ThreadPoolExecutor) -> None:
        self._handler = handler
        self._pool = pool

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientGoneError:
            return
        except TooLargeError:
            answer = error_page(413)
        except asyncio.CancelledError:
            # The grace of a server that stops is over.
            answer = error_page(503)
        headers = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> Answer:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        request = Request(
            method=scope["method"],
            target=target.decode("latin-1"),
            headers=headers,
            body=await _body(int(headers.get("content-length", 0)), receive),
        )
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._handler.answer, request)


async def _body(announced: int, receive: Receive) -> bytes:
    if announced > LARGEST_BODY:
        raise TooLargeError
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message["body"])
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise TooLargeError
        more = message["more_body"]
    return b"".join(parts)
