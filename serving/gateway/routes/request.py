"""What a route reads of its request, besides the body, and how long it works for it."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from serving.client.deadline import Deadline
from serving.gateway.errors import GatewayError
from serving.gateway.models.models import Models

Result = TypeVar("Result")

# A little longer than the model servers have: what they did not do in time has a better message.
_GRACE_SECONDS = 0.2


def whole_number(request: Request, name: str, *, limit: int) -> int | None:
    """A parameter of the address; None if it is not there.

    Raises:
        GatewayError: 400, it is not a whole number from 1 to `limit`.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    # More digits than the largest number has would take long to read.
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(limit)) else 0
    if not 1 <= number <= limit:
        raise GatewayError(400, f"{name} must be a whole number from 1 to {limit}")
    return number


def deadline_of(request: Request) -> Deadline:
    """By when the request must be answered: what the client can wait for (X-Timeout-Seconds), within the limit.

    It begins with the first call, when the body is there.

    Raises:
        GatewayError: 400, the header is not a number above 0.
    """
    if not hasattr(request.state, "deadline"):
        request.state.deadline = Deadline(_seconds(request))
    deadline: Deadline = request.state.deadline
    return deadline


def _seconds(request: Request) -> float:
    limit: float = request.app.state.settings.limits.seconds
    text = request.headers.get("x-timeout-seconds")
    if text is None:
        return limit
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise GatewayError(400, "X-Timeout-Seconds must be a number of seconds above 0")
    return min(seconds, limit)


def models_of(request: Request) -> Models:
    """The models of the application that got the request."""
    models: Models = request.app.state.models
    return models


async def until_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled if the client closes its connection before, or the deadline passes.

    The body of the request must have been read.

    Raises:
        GatewayError: 499, as nginx says it: nobody is there to read the answer; 504, it took too long.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    deadline = deadline_of(request)
    try:
        await asyncio.wait({task, gone}, timeout=deadline.left() + _GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise GatewayError(499, "the client has closed its connection")
        text = f"the request was not answered within {deadline.seconds:g} s, images that had to be converted included"
        raise GatewayError(504, text, retry_after=1)
    finally:
        gone.cancel()
        task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
