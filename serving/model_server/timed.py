"""A model whose runs are timed: what `runtime_latency` is made of."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from serving.model_server import metrics
from serving.model_server.model import Model
from serving.wire import Array


class TimedModel:
    """Counts what succeeds, under the name the caller used and the API that was called."""

    def __init__(self, model: Model, *, name: str, api: str) -> None:
        self._model = model
        self._name = name
        self._api = api

    @property
    def signatures(self) -> Mapping[str, Any]:
        return self._model.signatures

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> Sequence[Array]:
        start = time.perf_counter()
        arrays = self._model.run(feeds, fetches, timeout_seconds=timeout_seconds)
        metrics.time_runtime(self._name, self._api, time.perf_counter() - start)
        return arrays
