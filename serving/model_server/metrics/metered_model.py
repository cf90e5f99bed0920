"""A model whose runs are counted for one request: what `runtime_latency` and `request_example_counts` are made of."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from serving.inference.model import Model
from serving.model_server.metrics import server_metrics
from serving.wire import Array

MULTI_INFERENCE = "MultiInference"


class MeteredModel:
    """The model as `request` asks it; runs that succeed are counted under the name of the model in the request.

    `api` is "Predict", "Classify" or "Regress", whose time in TensorFlow is taken, or "MultiInference", whose Examples
    are counted: as upstream, which does for each of them one and not the other.
    """

    def __init__(self, model: Model, request: Any, api: str) -> None:
        self._model = model
        self._request = request
        self._api = api

    @property
    def signatures(self) -> Mapping[str, Any]:
        return self._model.signatures

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> Sequence[Array]:
        start = time.perf_counter()
        arrays = self._model.run(feeds, fetches, timeout_seconds=timeout_seconds)
        if self._api == MULTI_INFERENCE:
            self._count_examples(feeds)
        else:
            server_metrics.time_runtime(self._request.model_spec.name, self._api, time.perf_counter() - start)
        return arrays

    def _count_examples(self, feeds: Mapping[str, Array]) -> None:
        """Every tensor that is fed takes the same Examples; without tasks there is none, and nothing to count."""
        if self._request.tasks:
            server_metrics.count_examples(self._request.tasks[0].model_spec.name, len(next(iter(feeds.values()))))
