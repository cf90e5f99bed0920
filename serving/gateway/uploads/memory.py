"""A limit on the bodies of all requests together: without one, as many of the largest as come would be in memory."""

from serving.gateway.errors import GatewayError
from serving.gateway.http.asgi import App, Message, Receive, Scope, Send

# Twice the largest body of the default limits. Parsed, converted and sent on, a body takes about four times its size.
LARGEST = 64 * 2**20


class BodyMemory:
    """ASGI middleware that counts the bytes of bodies, each until its request has been answered.

    A body is counted as it comes, and not as it is announced: to announce a lot costs a client nothing.

    Args:
        app: what reads the bodies. Its `receive` raises GatewayError, 503, when there is no memory left.
        limit: how many bytes there may be at a time.
    """

    def __init__(self, app: App, *, limit: int = LARGEST) -> None:
        self._app = app
        self._limit = limit
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = 0

        async def counted() -> Message:
            nonlocal own
            message = await receive()
            size = len(message.get("body", b""))
            if self.taken + size > self._limit:
                # What is left of the body is not read, so the connection cannot be used again.
                text, headers = "too many large requests are being received; try again", {"Connection": "close"}
                raise GatewayError(503, text, retry_after=1, headers=headers, shed="memory")
            own += size
            self.taken += size
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self.taken -= own
