"""What Classify, Regress and MultiInference do with the ModelSpec of a request."""

from typing import Any

import pytest

from serving.apis import classification_pb2, inference_pb2, regression_pb2
from serving.model_server.api import Api
from serving.status import StatusError
from tests.serving.model_server.world import World, config

# Each way to ask, with the request that asks so of a model.
WAYS = {
    "classify": lambda spec: classification_pb2.ClassificationRequest(model_spec=spec),
    "regress": lambda spec: regression_pb2.RegressionRequest(model_spec=spec),
    "multi_inference": lambda spec: inference_pb2.MultiInferenceRequest(
        tasks=[{"model_spec": spec, "method_name": "tensorflow/serving/classify"}]
    ),
}


@pytest.fixture
def serving(world: World) -> World:
    """A world that serves version 1, labelled `stable`, of a model with one signature, for Predict."""
    world.add(1)
    world.core.reload(config(world.base))
    world.core.reload(config(world.base, stable=1))
    return world


def refused(api: Api, way: str, spec: dict[str, Any] | None) -> str:
    with pytest.raises(StatusError) as refusal:
        getattr(api, way)(WAYS[way](spec))
    return str(refusal.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "INVALID_ARGUMENT: ModelSpec has no name specified."),
        ({"name": "foo"}, "NOT_FOUND: Servable not found for request: Latest(foo)"),
        ({"name": "m", "version": {"value": 9}}, "NOT_FOUND: Servable not found for request: Specific(m, 9)"),
        ({"name": "m", "version_label": "L"}, "INVALID_ARGUMENT: Unrecognized servable version label: L"),
    ],
)
def test_a_model_that_is_not_served(serving: World, way: str, spec: dict[str, Any], expected: str) -> None:
    assert expected == refused(Api(serving.core), way, spec)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("classify", "INVALID_ARGUMENT: Missing ModelSpec"),
        ("regress", "INVALID_ARGUMENT: Missing ModelSpec"),
        ("multi_inference", "INVALID_ARGUMENT: ModelSpec has no name specified."),
    ],
)
def test_a_request_without_a_spec(serving: World, way: str, expected: str) -> None:
    assert expected == refused(Api(serving.core), way, None)


def test_a_request_without_tasks(serving: World) -> None:
    with pytest.raises(StatusError, match=r"ModelSpec has no name specified\."):
        Api(serving.core).multi_inference(inference_pb2.MultiInferenceRequest())


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("classify", "INVALID_ARGUMENT: No signature was found with the name: s"),
        ("regress", "INVALID_ARGUMENT: No signature was found with the name: s"),
        ("multi_inference", "INVALID_ARGUMENT: Requested signature not found in model graph: s"),
    ],
)
@pytest.mark.parametrize("which", [{}, {"version": {"value": 1}}, {"version_label": "stable"}])
def test_a_signature_the_model_does_not_have(serving: World, way: str, expected: str, which: dict[str, Any]) -> None:
    assert expected == refused(Api(serving.core), way, {"name": "m", "signature_name": "s"} | which)


@pytest.mark.parametrize("way", WAYS)
def test_methods_of_signatures_are_checked_where_that_is_asked_for(serving: World, way: str) -> None:
    unchecked, checked = Api(serving.core), Api(serving.core, check_method_names=True)

    assert "signature method_name to be tensorflow/serving/" in refused(checked, way, {"name": "m"})
    assert "signature method_name to be" not in refused(unchecked, way, {"name": "m"})
