"""What is counted of the runs of a model, by the method it was asked with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytest

from serving.apis import classification_pb2, inference_pb2, predict_pb2, regression_pb2
from serving.model_server.api import Api
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.server_core import ServerCore
from serving.model_server.metrics import server_metrics
from serving.model_server.metrics.metered_model import MeteredModel
from serving.status import StatusError
from tests.serving.inference.echo import CLASSIFY, REGRESS, Echo, example, listed, signature
from tests.serving.model_server.world import Times, floats

EMPTY_BATCH = np.empty(0, np.object_)
EXAMPLES = listed(*[example(value=1.0, score=[2.0])] * 3)
NAME = "metered"
TIMED = ("Predict", "Classify", "Regress")


class CoreOf:
    """A core with one model."""

    def __init__(self, model: object) -> None:
        self._model = model

    @contextmanager
    def servable(self, spec: Any) -> Iterator[tuple[ServableId, Any]]:
        yield ServableId(spec.name, 1), self._model


def api(model: object) -> Api:
    return Api(cast(ServerCore, CoreOf(model)))


def counts() -> dict[str, int]:
    times = {each: server_metrics.runtime_latency.count(NAME, each, "TF1") for each in TIMED}
    return times | {"examples": server_metrics.example_count_total.value(NAME)}


def ask(method: str) -> Any:
    spec: Any = {"name": NAME}
    match method:
        case "Predict":
            return api(Times(2)).predict(predict_pb2.PredictRequest(model_spec=spec, inputs={"x": floats([1], [1])}))
        case "Classify":
            echo = Echo(serving_default=signature(CLASSIFY, scores="score:0"))
            return api(echo).classify(classification_pb2.ClassificationRequest(model_spec=spec, input=EXAMPLES))
        case "Regress":
            echo = Echo(serving_default=signature(REGRESS, outputs="value:0"))
            return api(echo).regress(regression_pb2.RegressionRequest(model_spec=spec, input=EXAMPLES))
    echo = Echo(serving_default=signature(REGRESS, outputs="value:0"))
    task: Any = {"model_spec": spec, "method_name": REGRESS}
    return api(echo).multi_inference(inference_pb2.MultiInferenceRequest(tasks=[task], input=EXAMPLES))


@pytest.mark.parametrize(
    ("method", "counted"),
    [("Predict", {"Predict": 1}), ("Classify", {"Classify": 1}), ("Regress", {"Regress": 1}), ("", {"examples": 3})],
)
def test_the_api_times_three_methods_and_counts_the_examples_of_the_fourth(
    method: str, counted: dict[str, int]
) -> None:
    before = counts()
    ask(method)

    assert counted == {name: count - before[name] for name, count in counts().items() if count != before[name]}


def test_a_run_that_fails_is_not_counted() -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": NAME})
    before = counts()
    with pytest.raises(StatusError):
        MeteredModel(Echo(), request, "Predict").run({"x:0": EMPTY_BATCH}, ["no such tensor"])

    assert before == counts()
