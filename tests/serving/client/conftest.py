"""Both clients behind one interface, so that one test is for both."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import pytest

from serving.client import AsyncClient, Classified, Client, Metadata, ReplicaState
from serving.client.images import Images
from serving.fleet.fleet import Fleet
from serving.replica import Answer
from serving.wire import Array


class AnyClient(Protocol):
    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, **options: Any
    ) -> Answer: ...

    def classify(
        self, model: str, images: Images, *, version: int | None = None, timeout: float | None = None
    ) -> Classified: ...

    def class_names(self, model: str, version: int, *, timeout: float | None = None) -> tuple[str, ...] | None: ...

    def metadata(self, model: str, *, version: int | None = None, timeout: float | None = None) -> Metadata: ...

    def replicas(self) -> Sequence[ReplicaState]: ...

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

    def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, **options: Any) -> Answer:
        answer: Answer = self._wait(self._client.predict(model, inputs, version=version, **options))
        return answer

    def classify(self, model: str, images: Images, **options: Any) -> Classified:
        found: Classified = self._wait(self._client.classify(model, images, **options))
        return found

    def class_names(self, model: str, version: int, **options: Any) -> tuple[str, ...] | None:
        found: tuple[str, ...] | None = self._wait(self._client.class_names(model, version, **options))
        return found

    def metadata(self, model: str, **options: Any) -> Metadata:
        found: Metadata = self._wait(self._client.metadata(model, **options))
        return found

    def replicas(self) -> Sequence[ReplicaState]:
        return self._client.replicas()

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
