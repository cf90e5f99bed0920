"""The body of a request, in memory, never longer than the limit and never waited for without one."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.gateway.errors import GatewayError
from serving.gateway.settings import Limits


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        GatewayError: 413, it is longer than the limit: said before anything is read if its length is announced; 408, it
            did not arrive in time; 400, its announced length is no number, or the client went away.
    """
    if _announced(request) > limits.body_bytes:
        raise _too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError as error:
        text = f"the request did not arrive within {limits.body_seconds:g} s"
        raise GatewayError(408, text, headers={"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise GatewayError(400, "the client closed its connection before the end of the request") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise GatewayError(400, "Content-Length is not a number")
    return int(text)


def _too_large(limits: Limits) -> GatewayError:
    text = f"the request is larger than {limits.body_bytes:,} bytes; send a smaller image, or fewer at once"
    # What is left of the body is not read, so the connection cannot be used again.
    return GatewayError(413, text, headers={"Connection": "close"})
