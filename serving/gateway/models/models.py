"""The models of a gateway: each has a client with its own connections, and a limit of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from fastapi import Request

from serving.client import AsyncClient
from serving.errors import DiscoveryError, ServingError, UnreachableError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.models.admission import Admission, ShedError
from serving.gateway.models.signatures import Signatures
from serving.gateway.settings import ModelSettings, Settings


class Model:
    """One model. Use `asked` around each request to its servers."""

    def __init__(self, settings: ModelSettings, client: AsyncClient) -> None:
        self.name = settings.name
        self.source = settings.source
        self.label = settings.label
        self.fleet = settings.fleet
        self.client = client
        self.admission = Admission(replicas=lambda: len(client.replicas()))
        self.signatures = Signatures(client, settings.name)

    @contextmanager
    def asked(self, images: int, *, version: int | None = None) -> Iterator[None]:
        """Admit a request with so many images, and turn the errors of the block into answers.

        Raises:
            GatewayError: it was shed, or the model servers did not answer it.
        """
        try:
            with self.admission.admitted(images):
                yield
        except ShedError as error:
            text = f"{self.name} has as many requests as it can answer in time; try again"
            raise GatewayError(503, text, retry_after=error.seconds, shed="admission") from error
        except UnreachableError as error:
            self.admission.overloaded()
            raise of_serving(error, self.name, version=version) from error
        except (ServingError, DiscoveryError) as error:
            raise of_serving(error, self.name, version=version) from error


class Models(Mapping[str, Model]):
    """The models by name, in the order in which they were given."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.name: model for model in models}

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def named(self, name: str) -> Model:
        """The model of this name.

        Raises:
            GatewayError: 404, there is none; names those that there are.
        """
        model = self._models.get(name)
        if model is None:
            raise GatewayError(404, f"there is no model of that name here; there is {', '.join(self._models)}")
        return model


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Models]:
    """The models, with clients that look for their replicas from now on."""
    async with AsyncExitStack() as stack:
        models = [
            Model(each, await stack.enter_async_context(_client(each, settings.limits.seconds)))
            for each in settings.models
        ]
        yield Models(models)


def _client(model: ModelSettings, seconds: float) -> AsyncClient:
    return AsyncClient(model.fleet, label=model.label, timeout=seconds)


def seconds_of(request: Request) -> float:
    """Until when the servers must have answered: what the client can wait for (X-Timeout-Seconds), within the limit.

    Raises:
        GatewayError: 400, the header is not a number above 0.
    """
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


async def until_gone(request: Request, work: Any) -> Any:
    """The result of `work`, an awaitable; it is cancelled if the client closes its connection before.

    The body of the request must have been read.

    Raises:
        GatewayError: 499, as nginx says it: nobody is there to read the answer.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise GatewayError(499, "the client has closed its connection")
    finally:
        gone.cancel()
        task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
