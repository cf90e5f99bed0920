"""The models of a gateway: each has a client with its own connections, and a limit of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from serving.client import AsyncClient
from serving.client.deadline import Deadline
from serving.errors import DiscoveryError, OverloadedError, RefusedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.models.admission import Admission, ShedError
from serving.gateway.models.signatures import Signatures
from serving.gateway.models.target import Target
from serving.gateway.settings import ModelSettings, Settings
from serving.wire import Array

Result = TypeVar("Result")

# gRPC takes no deadline that has passed.
_LEAST_SECONDS = 0.001


class Model:
    """One model. Use `request` around each request to its servers."""

    def __init__(self, settings: ModelSettings, client: AsyncClient) -> None:
        self.name = settings.name
        self.source = settings.source
        self.label = settings.label
        self.fleet = settings.fleet
        self.client = client
        self.admission = Admission(replicas=lambda: len(client.replicas()))
        self.signatures = Signatures(client, settings.name)

    @asynccontextmanager
    async def request(self, images: int, *, version: int | None = None) -> AsyncIterator[None]:
        """Wait until a request with so many images may be sent, and turn the errors of the block into answers.

        Raises:
            GatewayError: it was shed, or the model servers did not answer it.
        """
        try:
            async with self._turn(images):
                yield
        except ShedError as error:
            raise self._shed(error) from error
        except (ServingError, DiscoveryError) as error:
            if isinstance(error, OverloadedError):
                self.admission.overloaded()
            raise of_serving(error, self.name, version=version) from error

    @asynccontextmanager
    async def _turn(self, images: int) -> AsyncIterator[None]:
        may_start = asyncio.Event()
        ticket = self.admission.enter(images, may_start.set)
        answered = False
        try:
            if not ticket.is_started:
                await may_start.wait()
            yield
            answered = True
        finally:
            self.admission.leave(ticket, answered=answered)

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

    async def retry_if_moved(
        self, target: Target, attempt: Callable[[], Awaitable[Result]], *, refusal: type[Exception]
    ) -> Result:
        """The result of `attempt`. If it was refused and the label is on another version by now, it is repeated once.

        Args:
            target: what `attempt` asks for.
            attempt: makes a request to fit the signatures that are known, and sends it.
            refusal: with which `attempt` itself refuses a request; model servers refuse with RefusedError.

        Raises:
            Exception: whatever `attempt` raises.
        """
        before = self.signatures.known(target)
        try:
            return await attempt()
        except (refusal, GatewayError) as error:
            # The request itself was refused; it might be right for another version.
            is_refused = isinstance(error, refusal) or isinstance(error.__cause__, RefusedError)
            if not is_refused or not await self.signatures.has_moved(target, before=before):
                raise
        return await attempt()


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
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """The models, with clients that look for their replicas from now on."""
    async with AsyncExitStack() as stack:
        models = [
            Model(each, await stack.enter_async_context(_client(each, settings.limits.seconds)))
            for each in settings.models
        ]
        yield Models(models)


def _client(model: ModelSettings, seconds: float) -> AsyncClient:
    return AsyncClient(model.fleet, label=model.label, timeout=seconds)


def seconds_left(deadline: Deadline) -> float:
    """For the model servers; above 0 also when the deadline has passed."""
    return max(deadline.left(), _LEAST_SECONDS)


def count_rows(inputs: Mapping[str, Array]) -> int:
    """How many images, or rows, a request has; 1 for one that has none."""
    return max(1, max((len(array) for array in inputs.values() if array.ndim), default=1))
