"""Ask an ASGI application without a server."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.gateway.http.asgi import App, Message, Receive, Scope, Send, send_body


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Recorded:
    """An application that answers 200 and remembers what came; `read` whether it reads the body first."""

    def __init__(self, *, read: bool = True, act: Callable[[Scope], None] | None = None) -> None:
        self.scopes: list[Scope] = []
        self._read = read
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self._act is not None:
            self._act(scope)
        while self._read and (await receive()).get("more_body", False):
            pass
        await send_body(send, 200, b"fine", content_type=b"text/plain")


def ask(
    app: App,
    path: str = "/v1/classify/digits",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: Sequence[bytes] = (b"",),
    client: tuple[str, int] | None = ("127.0.0.1", 1),
    **scope: Any,
) -> Reply:
    """The answer; `body` in as many parts as it comes."""
    return asyncio.run(answer(app, scope_of(path, method=method, headers=headers, client=client, **scope), body))


def scope_of(
    path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, **further: Any
) -> dict[str, Any]:
    encoded = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "method": method, "path": path, "headers": encoded, "scheme": "http", **further}


async def answer(app: App, scope: dict[str, Any], body: Sequence[bytes]) -> Reply:
    parts = list(body)
    reply = Reply()

    async def receive() -> Message:
        await asyncio.sleep(0)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            assert reply.status == 0, "one answer is one answer"
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            reply.body += message["body"]

    await app(scope, receive, send)
    return reply


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def passes(self, seconds: float) -> None:
        self.seconds += seconds
