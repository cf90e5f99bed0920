"""The models of a gateway: each has a client with its own connections, and a limit of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

from fastapi import Request

from serving.client import AsyncClient
from serving.client.deadline import Deadline
from serving.errors import DiscoveryError, OverloadedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.models.admission import Admission, ShedError
from serving.gateway.models.signatures import Signatures
from serving.gateway.settings import ModelSettings, Settings

Result = TypeVar("Result")

# A deadline that has passed still takes some time for gRPC to say so.
_LEAST_SECONDS = 0.001
_GRACE_SECONDS = 0.2


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
            raise self._shed(error) from error
        except (ServingError, DiscoveryError) as error:
            if isinstance(error, OverloadedError):
                self.admission.overloaded()
            raise of_serving(error, self.name, version=version) from error

    def require_room(self) -> None:
        """Check that a request would be admitted now, before anything costly is done for it.

        Raises:
            GatewayError: it would be shed.
        """
        try:
            self.admission.require_room()
        except ShedError as error:
            raise self._shed(error) from error

    def _shed(self, error: ShedError) -> GatewayError:
        text = f"{self.name} has as many requests as it can answer in time; try again"
        return GatewayError(503, text, retry_after=error.seconds, shed="admission")


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


def seconds_of(request: Request) -> float:
    """The seconds that are left for the model servers.

    Raises:
        GatewayError: 400, see `deadline_of`.
    """
    return max(deadline_of(request).left(), _LEAST_SECONDS)


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
        # A little longer than the model servers have: what they did not do in time has a better message.
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
