"""Both clients behind one interface, so that one test is for both."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import pytest

from serving.client import AsyncClient, Client
from serving.fleet.fleet import Fleet
from serving.replica import Answer
from serving.wire import Array


class AnyClient(Protocol):
    def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None = None) -> Answer: ...

    def close(self) -> None: ...


class BlockingAsyncClient:
    """An `AsyncClient` in a thread with an event loop; its methods wait for the outcome."""

    def __init__(self, fleet: Fleet, **options: Any) -> None:
        self._client = AsyncClient(fleet, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None = None) -> Answer:
        answer: Answer = self._wait(self._client.predict(model, inputs, version=version))
        return answer

    def close(self) -> None:
        self._wait(self._client.close())

    def _wait(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result()


MakeClient = Callable[..., AbstractContextManager[AnyClient]]


@pytest.fixture(params=[Client, BlockingAsyncClient], ids=["sync", "async"])
def make_client(request: pytest.FixtureRequest) -> Any:
    """The class of a client."""
    return request.param
