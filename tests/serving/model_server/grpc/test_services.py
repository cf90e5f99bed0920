"""The gRPC border over a core without TensorFlow."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from serving.model_server.api import Api
from serving.model_server.grpc.services import handlers, shortened
from tests.serving.model_server.world import World, config, eventually, floats


@pytest.fixture
def channel(world: World) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=handlers(Api(world.core, as_content=True)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    server.stop(0).wait()


def reload(channel: grpc.Channel, whole: Any) -> Any:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    return models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(config=whole), timeout=10)


def test_a_reload_request_brings_a_model_and_predict_answers(world: World, channel: grpc.Channel) -> None:
    world.add(3)
    assert reload(channel, config(world.base)).status.error_code == 0
    request = predict_pb2.PredictRequest(model_spec={"name": "m"}, inputs={"x": floats([2], [1])})
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)

    assert response.model_spec.version.value == 3
    assert response.outputs["y"].tensor_content == b"\x00\x00\xc0\x40"


def test_a_reload_goes_on_when_its_client_has_gone(world: World, channel: grpc.Channel) -> None:
    """...and the next config waits for it, whoever sends it."""
    world.add(1)
    reload(channel, config(world.base))
    other = world.base.parent / "other"
    (other / "5").mkdir(parents=True)
    (other / "5" / "factor").write_text("5")
    gate = world.shelf.gates[5] = threading.Event()
    both = config(world.base)
    both.MergeFrom(config(other, name="other"))
    call = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest
    first = call.future(model_management_pb2.ReloadConfigRequest(config=both), timeout=0.3)
    assert grpc.StatusCode.DEADLINE_EXCEEDED == first.code()
    second = call.future(model_management_pb2.ReloadConfigRequest(config=config(world.base)), timeout=10)
    eventually(lambda: world.states("other") == {5: "LOADING"})
    assert not second.done()
    gate.set()

    assert grpc.StatusCode.OK == second.code()
    eventually(lambda: world.states("other") == {5: "END"})


def test_reloads_that_wait_for_a_model_that_hangs_give_their_threads_back(world: World, channel: grpc.Channel) -> None:
    """More than there are threads, from clients that have given up: others are answered."""
    world.add(1)
    reload(channel, config(world.base))
    other = world.base.parent / "other"
    (other / "5").mkdir(parents=True)
    world.shelf.gates[5] = threading.Event()
    both = config(world.base)
    both.MergeFrom(config(other, name="other"))
    request = model_management_pb2.ReloadConfigRequest(config=both)
    call = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest
    given_up = [call.future(request, timeout=0.3) for _ in range(8)]
    codes = [each.code() for each in given_up]
    asked = predict_pb2.PredictRequest(model_spec={"name": "m"}, inputs={"x": floats([2], [1])})
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(asked, timeout=10)

    assert grpc.StatusCode.DEADLINE_EXCEEDED in codes
    assert response.model_spec.version.value == 1


def test_status_lists_every_version_ever_seen_highest_first_and_ignores_labels(
    world: World, channel: grpc.Channel
) -> None:
    world.add(1)
    reload(channel, config(world.base))
    world.add(2)
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "END"})
    world.add(3, broken=True)
    eventually(lambda: world.states()[3] == "END NOT_FOUND" if 3 in world.states() else False)
    asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "m", "version_label": "whatever"})
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, timeout=10)

    listed = [(each.version, each.state, each.status.error_code) for each in answer.model_version_status]
    assert listed == [(3, 50, 5), (2, 30, 0), (1, 50, 0)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["signature_def", "other"], "Metadata field other is not supported"),
    ],
)
def test_metadata_is_about_signatures_only(channel: grpc.Channel, fields: list[str], message: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": "m"}, metadata_field=fields)
    with pytest.raises(grpc.RpcError) as refusal:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=10)

    assert (refusal.value.code(), refusal.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_a_request_without_a_spec_is_invalid(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(predict_pb2.PredictRequest(), timeout=10)

    assert (refusal.value.code(), refusal.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def test_a_model_that_fails_in_an_unforeseen_way_is_an_internal_error_of_the_call(
    world: World, channel: grpc.Channel
) -> None:
    world.add(1)
    reload(channel, config(world.base))
    world.shelf.models[1].factor = None  # type: ignore[assignment]
    request = predict_pb2.PredictRequest(model_spec={"name": "m"}, inputs={"x": floats([2], [1])})
    with pytest.raises(grpc.RpcError) as refusal:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)

    assert refusal.value.code() is grpc.StatusCode.INTERNAL


def test_long_messages_are_cut() -> None:
    assert shortened("x" * 1024) == "x" * 1024
    assert shortened("x" * 1025) == "x" * 1024 + "...TRUNCATED"


def test_a_message_is_measured_in_bytes_and_cut_between_characters() -> None:
    assert shortened("x" + "é" * 512) == "x" + "é" * 511 + "...TRUNCATED"
