"""408 for a client that sends the body of its request too slowly.

What counts is the time that the application waits for the client, not the time in which it does something else.
"""

import asyncio
import time

from serving.gateway.asgi import App, Message, Receive, Scope, Send, send_error
from serving.gateway.observation.facts import facts_of

# A body may take FIRST_SECONDS, and a second more for each SLOWEST bytes that have come (128 kbit/s). So one byte now
# and then keeps no connection, and a large image from a phone with a poor network arrives.
FIRST_SECONDS = 15.0
SLOWEST = 16 * 1024


class SlowClientError(Exception):
    """The client did not send its body in time. Let it pass: SlowBodies answers."""


class SlowBodies:
    """ASGI middleware. Whoever awaits `receive` gets SlowClientError."""

    def __init__(self, app: App, *, first_seconds: float = FIRST_SECONDS, slowest: int = SLOWEST) -> None:
        self._app = app
        self._first_seconds = first_seconds
        self._slowest = slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        body = _TimedBody(receive, self._first_seconds, self._slowest)
        try:
            await self._app(scope, body.receive, noted_send)
        except SlowClientError:
            if not begun:
                message = f"The body came too slowly: {body.size} bytes in {body.waited:.0f} seconds. Send it again."
                facts_of(scope).error = message
                await send_error(send, 408, message, headers=[(b"connection", b"close")])


class _TimedBody:
    def __init__(self, receive: Receive, first_seconds: float, slowest: int) -> None:
        self._receive = receive
        self._first_seconds = first_seconds
        self._slowest = slowest
        self._complete = False
        self.size = 0
        self.waited = 0.0

    async def receive(self) -> Message:
        if self._complete:
            # From here on only the end of the connection is waited for, and that may take as long as the answer.
            return await self._receive()
        left = self._first_seconds + self.size / self._slowest - self.waited
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(max(0.0, left)):
                message = await self._receive()
        except TimeoutError:
            self.waited += time.perf_counter() - begun
            raise SlowClientError from None
        self.waited += time.perf_counter() - begun
        self.size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message
