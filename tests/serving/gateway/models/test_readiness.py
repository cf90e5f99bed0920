"""Whether each model answers, asked in the background."""

import asyncio

from serving.client import AsyncClient
from serving.gateway.models.models import Model
from serving.gateway.models.readiness import Readiness
from serving.gateway.settings import parse_model


def test_an_error_that_nobody_expects_does_not_end_it() -> None:
    """A client that is closed raises one that is about no server."""
    settings = parse_model("digits=127.0.0.1:9", latest=False, tls=None)

    async def run() -> Readiness:
        client = AsyncClient(settings.fleet)
        readiness = Readiness({"digits": Model(settings, client)})
        await client.close()
        await readiness.ask()
        return readiness

    readiness = asyncio.run(run())

    assert not readiness.ready
    assert "whether digits answers could not be found out; the log says why" == readiness.states["digits"].reason
