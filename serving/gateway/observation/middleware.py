"""Watches each request from outside all that handles it: id, access log, metrics, and the errors nobody handled."""

import asyncio
import json
import logging
import time
import traceback
from typing import cast

from starlette.requests import ClientDisconnect

from serving.gateway.http.asgi import App, Message, Receive, Scope, Send, header, send_error
from serving.gateway.observation.access_log import AccessLog, FinishedRequest
from serving.gateway.observation.facts import Facts, set_facts
from serving.gateway.observation.metrics import Metrics
from serving.gateway.observation.request_id import HEADER, request_id

# The client went away before it was answered; nginx has this number too.
CLIENT_GONE = 499
# Of a traceback, in the log.
LONGEST_TRACEBACK = 8000

logger = logging.getLogger(__name__)


class Observation:
    """ASGI middleware; the outermost one."""

    def __init__(self, app: App, *, metrics: Metrics, access_log: AccessLog) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        facts = Facts(request_id=request_id(header(scope, HEADER)))
        set_facts(scope, facts)
        watched = _Watched(receive, send, facts)
        self._metrics.begin()
        try:
            await _run(self._app, scope, watched, facts)
        finally:
            facts.model = facts.model or scope.get("path_params", {}).get("model")
            route = getattr(scope.get("route"), "path", None)
            status = watched.status or CLIENT_GONE
            seconds = time.perf_counter() - begun
            self._metrics.end(facts, route=route, status=status, seconds=seconds)
            self._access_log.write(_finished_request(scope, route, watched, seconds), facts)


class _Watched:
    """The two ends of a request, with what passes through them."""

    def __init__(self, receive: Receive, send: Send, facts: Facts) -> None:
        self._receive = receive
        self._send = send
        self._facts = facts
        self.status: int | None = None
        self.bytes_in = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            _note_answer(self._facts, dict(headers))
            message["headers"] = [*headers, (HEADER, self._facts.request_id.encode())]
        await self._send(message)


def _note_answer(facts: Facts, headers: dict[bytes, bytes]) -> None:
    """What the headers of the answer say of the model that answered."""
    if model := headers.get(b"x-model"):
        facts.model = model.decode("latin-1")
    if version := headers.get(b"x-model-version"):
        facts.version = int(version)
    if replica := headers.get(b"x-replica"):
        facts.replica = replica.decode("latin-1")


async def _run(app: App, scope: Scope, watched: _Watched, facts: Facts) -> None:
    """Run the application. What it does not handle is logged and answered here, in words that say nothing of it."""
    try:
        await app(scope, watched.receive, watched.send)
    except ClientDisconnect:
        pass
    except asyncio.CancelledError:
        # The grace of a server that stops is over.
        await _send_error(watched, 503, "the gateway is stopping; send the request again, and another one answers")
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the reason
        _log_error(error, facts)
        message = f"the gateway failed on the request; its log has the reason, request {facts.request_id}"
        await _send_error(watched, 500, message)


async def _send_error(watched: _Watched, status: int, message: str) -> None:
    """Answer, unless an answer has begun: half of one cannot be completed, and the server closes the connection."""
    if watched.status is None:
        await send_error(watched.send, status, message, headers=[(b"connection", b"close")])


def _log_error(error: Exception, facts: Facts) -> None:
    """On one line, as JSON: the text of an error may hold what a client sent."""
    record = {
        "request_id": facts.request_id,
        "error": type(error).__name__,
        "traceback": "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:],
    }
    logger.error("%s", json.dumps(record))


def _finished_request(scope: Scope, route: str | None, watched: _Watched, seconds: float) -> FinishedRequest:
    client = cast("tuple[str, int] | None", scope.get("client"))
    return FinishedRequest(
        method=scope["method"],
        route=route,
        path=scope["path"],
        status=watched.status or CLIENT_GONE,
        seconds=seconds,
        bytes_in=watched.bytes_in,
        client=client[0] if client else None,
    )
