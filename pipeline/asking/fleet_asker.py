"""Ask the model servers of a fleet, over gRPC."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from pipeline.asking.answers import Answer, BusyError, NoAnswerError, RefusedImageError
from pipeline.errors import FailedError
from serving.client import AsyncClient
from serving.errors import (
    CircuitOpenError,
    DiscoveryError,
    NotServedError,
    OverloadedError,
    ServingError,
    UnreachableError,
)
from serving.fleet.fleet import Fleet

# An attempt has a third of it.
_TIMEOUT_SECONDS = 15.0
_BUSY_SECONDS = 0.5


class FleetAsker:
    """See `Asker`. Use it as an asynchronous context manager.

    Args:
        fleet: the servers.
        model: the name of the model.
        label: the label of the version that serves; None if the servers have no labels.
        version: ask exactly this version; None for the one that serves.
        top: how many labels of each image.
    """

    def __init__(self, fleet: Fleet, *, model: str, label: str | None, version: int | None, top: int) -> None:
        self._fleet = fleet
        self._model = model
        self._label = label
        self._version = version
        self._top = top
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        client = AsyncClient(self._fleet, label=self._label, timeout=_TIMEOUT_SECONDS)
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def ask(self, content: bytes) -> Answer:
        try:
            found = await self._client.classify(self._model, content, version=self._version)
        except (ServingError, DiscoveryError) as error:
            raise self._translated(error) from error
        return Answer(found.top(self._top)[0], found.version, found.address)

    def _translated(self, error: ServingError | DiscoveryError) -> Exception:
        if isinstance(error, CircuitOpenError):
            return BusyError(str(error), seconds=error.seconds)
        if isinstance(error, OverloadedError):
            return BusyError(str(error), seconds=_BUSY_SECONDS)
        if isinstance(error, UnreachableError | DiscoveryError):
            return NoAnswerError(str(error))
        if isinstance(error, NotServedError):
            return FailedError(f"{error}. {self._hint()}")
        return RefusedImageError(f"was refused by {error}")

    def _hint(self) -> str:
        if self._version is not None:
            return f"`understudy status --model {self._model}` shows which versions are loaded"
        if self._label is None:
            return f"Check that these servers have the model {self._model!r}"
        return (
            f"`understudy status --model {self._model}` shows what serves. If these servers have no version labels, "
            "name a version with --version, or set UNDERSTUDY_ROLLOUT=latest"
        )
