"""Names for the parts of ASGI, and an answer that needs no framework.

What is refused before the application sees it is refused with `send_error`: a refusal must cost less than a request.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header; `name` is in lower case. None without one."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def error_body(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


async def send_error(send: Send, status: int, message: str, *, headers: Headers = ()) -> None:
    """Answer `{"error": message}`."""
    await send_body(send, status, error_body(message), content_type=b"application/json", headers=headers)


async def send_body(send: Send, status: int, body: bytes, *, content_type: bytes, headers: Headers = ()) -> None:
    sent = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
