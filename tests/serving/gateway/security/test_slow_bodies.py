"""Bodies that come too slowly (F59)."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from serving.gateway.asgi import App, Message, Receive, Scope, Send, send_body
from serving.gateway.security.slow_bodies import SlowBodies
from tests.serving.gateway.asking import Recorded, Reply, scope_of


async def _asked(app: App, parts: Sequence[bytes | float]) -> Reply:
    """`parts`: bytes, and pauses in seconds."""
    left = list(parts)
    reply = Reply()

    async def receive() -> Message:
        while isinstance(left[0], float):
            await asyncio.sleep(left[0])
            left.pop(0)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        reply.status = message.get("status", reply.status)
        reply.body += message.get("body", b"")

    await app(scope_of("/", method="POST"), receive, send)
    return reply


def asked(app: App, *parts: bytes | float) -> Reply:
    return asyncio.run(_asked(app, parts))


@pytest.mark.parametrize("parts", [(60.0, b"a"), (b"a", 60.0, b"b"), (b"a", *[0.02, b"a"] * 100)])
def test_a_slow_body_is_408(parts: tuple[bytes | float, ...]) -> None:
    """...silent, or a byte now and then."""
    reply = asked(SlowBodies(Recorded(), first_seconds=0.05), *parts)

    assert reply.status == 408
    assert "too slowly" in json.loads(reply.body)["error"]


def test_a_body_that_keeps_the_slowest_rate_arrives() -> None:
    """A megabyte at once leaves time for a pause that would be too long otherwise."""
    pause = (b"a" * 1_000_000, 0.2, b"a")

    assert asked(SlowBodies(Recorded(), first_seconds=0.05, slowest=1000), *pause).status == 200
    assert asked(SlowBodies(Recorded(), first_seconds=0.05, slowest=100_000_000), *pause).status == 408


def test_the_time_that_the_application_takes_does_not_count() -> None:
    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            await asyncio.sleep(0.03)
        await send_body(send, 200, b"", content_type=b"text/plain")

    assert asked(SlowBodies(busy, first_seconds=0.02), b"a", b"b", b"c", b"d").status == 200


def test_an_answer_that_has_begun_is_not_followed_by_another() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 413, b"", content_type=b"text/plain")
        await receive()

    assert asked(SlowBodies(early, first_seconds=0.01), 60.0, b"a").status == 413
