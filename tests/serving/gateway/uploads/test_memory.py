"""The limit on the bodies of all requests together."""

import asyncio

import pytest

from serving.gateway.errors import GatewayError
from serving.gateway.http.asgi import Message, Receive, Scope, Send
from serving.gateway.uploads.memory import BodyMemory
from tests.serving.gateway.asking import answer, scope_of


class Reading:
    """Reads the body, then waits until it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.read += len(message["body"])
            more = message["more_body"]
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_bodies_count_together_until_their_requests_are_answered() -> None:
    async def run() -> None:
        app = Reading()
        memory = BodyMemory(app, limit=100)
        first = asyncio.create_task(answer(memory, scope_of("/"), [b"x" * 40, b"x" * 30]))
        while app.read < 70:
            await asyncio.sleep(0)
        with pytest.raises(GatewayError, match="too many large requests") as refused:
            await answer(memory, scope_of("/"), [b"x" * 20, b"x" * 20])
        error = refused.value

        assert (503, "memory", "1", "close") == (
            error.status,
            error.shed,
            error.headers["Retry-After"],
            error.headers["Connection"],
        )
        assert 70 == memory.taken
        app.go_on.set()
        await first
        assert 0 == memory.taken
        assert 200 == (await answer(memory, scope_of("/"), [b"x" * 100])).status

    asyncio.run(run())


def test_what_is_not_a_body_does_not_count() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert {"type": "http.disconnect"} == await receive()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError

    asyncio.run(BodyMemory(app, limit=0)(scope_of("/"), receive, send))
