"""TensorFlow Serving's own sample models in one real server process, asked as its tests ask and answering as there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tests.ports import free_port
from tests.serving.inference.echo import CLASSIFY, REGRESS, example, listed, with_context
from tests.serving.model_server.test_process import ROOT, merged, process
from tests.serving.model_server.world import config, eventually, floats

MODELS = ("half_plus_two", "half_plus_two_pbtxt", "half_plus_two_tf2", "half_plus_three")
HALF_PLUS_TWO = MODELS[:3]
TWO = listed(example(x=2.0))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("half_plus_two")
    program = [sys.executable, "-m", "tests.serving.model_server.half_plus_two", str(root)]
    subprocess.run(program, cwd=ROOT, check=True, capture_output=True, timeout=90)
    (root / "m.config").write_text(str(merged(*(config(root / name, name=name) for name in MODELS))))
    return root


@contextmanager
def serving(root: Path, log: Path, *flags: str) -> Iterator[Any]:
    """A stub of a server that serves them all."""
    port = free_port()
    flags = (f"--port={port}", f"--model_config_file={root / 'm.config'}", *flags)
    with process(log, *flags), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def stub(exported: Path) -> Iterator[Any]:
    with serving(exported, exported / "log") as made:
        yield made


def spec(name: str, signature_name: str) -> Any:
    return model_pb2.ModelSpec(name=name, signature_name=signature_name)


def answered(name: str, signature_name: str) -> Any:
    return model_pb2.ModelSpec(name=name, signature_name=signature_name, version={"value": 123})


def classified(stub: Any, given: Any, *, name: str = "half_plus_two", signature_name: str = "classify_x_to_y") -> Any:
    return stub.Classify(
        classification_pb2.ClassificationRequest(model_spec=spec(name, signature_name), input=given), timeout=20
    )


def regressed(stub: Any, given: Any, *, name: str = "half_plus_two", signature_name: str = "regress_x_to_y") -> Any:
    return stub.Regress(
        regression_pb2.RegressionRequest(model_spec=spec(name, signature_name), input=given), timeout=20
    )


@pytest.mark.parametrize(("name", "expected"), [*((name, 3.0) for name in HALF_PLUS_TWO), ("half_plus_three", 4.0)])
@pytest.mark.parametrize("outputs", [[], ["y"]])
def test_predict(stub: Any, name: str, expected: float, outputs: list[str]) -> None:
    request = predict_pb2.PredictRequest(model_spec=spec(name, ""), output_filter=outputs)
    request.inputs["x"].CopyFrom(floats([2], [1]))
    response = stub.Predict(request, timeout=20)

    assert list(response.outputs["y"].float_val) == [expected]
    assert answered(name, "serving_default") == response.model_spec


@pytest.mark.parametrize("name", HALF_PLUS_TWO)
def test_classify(stub: Any, name: str) -> None:
    response = classified(stub, TWO, name=name)

    assert [[(each.label, each.score) for each in row.classes] for row in response.result.classifications] == [
        [("", 3.0)]
    ]
    assert answered(name, "classify_x_to_y") == response.model_spec


def test_features_a_model_does_not_read_do_no_harm(stub: Any) -> None:
    response = classified(stub, listed(example(x=80.0, locale=b"pt_BR", age=19.0)))

    assert response.result.classifications[0].classes[0].score == 42


@pytest.mark.parametrize("name", HALF_PLUS_TWO)
@pytest.mark.parametrize(("signature_name", "expected"), [("regress_x_to_y", 3.0), ("regress_x_to_y2", 4.0)])
def test_regress(stub: Any, name: str, signature_name: str, expected: float) -> None:
    response = regressed(stub, TWO, name=name, signature_name=signature_name)

    assert [each.value for each in response.result.regressions] == [expected]
    assert answered(name, signature_name) == response.model_spec


@pytest.mark.parametrize("name", HALF_PLUS_TWO)
def test_a_context_counts_unless_the_example_says_otherwise(stub: Any, name: str) -> None:
    given = with_context(example(x=2.0), example(), example(x=4.0))

    assert [each.value for each in regressed(stub, given, name=name).result.regressions] == [3.0, 4.0]


@pytest.mark.parametrize("name", HALF_PLUS_TWO)
def test_multi_inference(stub: Any, name: str) -> None:
    asked = [("regress_x_to_y", REGRESS), ("regress_x_to_y2", REGRESS), ("classify_x_to_y", CLASSIFY)]
    tasks = [{"model_spec": spec(name, signature_name), "method_name": method} for signature_name, method in asked]
    results = stub.MultiInference(inference_pb2.MultiInferenceRequest(tasks=tasks, input=TWO), timeout=20).results

    assert [each.model_spec for each in results] == [answered(name, signature_name) for signature_name, _ in asked]
    assert [each.regression_result.regressions[0].value for each in results[:2]] == [3.0, 4.0]
    assert results[2].classification_result.classifications[0].classes[0].score == 3.0


@pytest.mark.parametrize(
    ("name", "classify", "regress"),
    [
        ("half_plus_two", CLASSIFY, REGRESS),
        ("half_plus_two_tf2", "tensorflow/serving/predict", "tensorflow/serving/predict"),
    ],
)
def test_metadata_has_the_methods_of_all_signatures(stub: Any, name: str, classify: str, regress: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec(name, ""), metadata_field=["signature_def"]
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=20).metadata["signature_def"].Unpack(signatures)
    methods = {alias: each.method_name for alias, each in signatures.signature_def.items()}

    assert (
        methods
        | {
            "serving_default": "tensorflow/serving/predict",
            "classify_x_to_y": classify,
            "regress_x_to_y": regress,
            "regress_x_to_y2": regress,
            "regress_x2_to_y3": regress,
        }
        == methods
    )


@pytest.mark.parametrize(
    ("signature_name", "given", "words"),
    [
        ("", TWO, "No regression inputs found in SignatureDef"),
        ("nothing", TWO, "No signature was found with the name: nothing"),
        ("classify_x_to_y", TWO, "No regression outputs found in SignatureDef"),
        ("regress_x2_to_y3", TWO, "Expects arg[0] to be float but string is provided"),
        ("regress_x_to_y", None, "Input is empty."),
        ("regress_x_to_y", listed(example(y=2.0)), "Feature: x (data type: float) is required but could not be found."),
        ("regress_x_to_y", listed(example(x=b"2")), "Data types don't match."),
    ],
)
@pytest.mark.parametrize("name", HALF_PLUS_TWO)
def test_what_cannot_be_answered_is_invalid(stub: Any, name: str, signature_name: str, given: Any, words: str) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        regressed(stub, given, name=name, signature_name=signature_name)

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(refusal.value.details())


def test_requests_of_every_kind_warmed_the_model_up(stub: Any, exported: Path) -> None:
    assert "model half_plus_two version 123: 4 warm-up requests answered" in (exported / "log").read_text()


def test_methods_are_checked_on_demand(exported: Path, tmp_path: Path) -> None:
    """...which a TensorFlow 1 export passes, its warm-up included, and one of TensorFlow 2 does not."""
    with serving(exported, tmp_path / "log", "--enable_signature_method_name_check") as checking:
        assert [each.value for each in regressed(checking, TWO).result.regressions] == [3.0]
        with pytest.raises(grpc.RpcError) as refusal:
            regressed(checking, TWO, name="half_plus_two_tf2")

    assert refusal.value.details() == (
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"
    )


@pytest.fixture(scope="module")
def rest(exported: Path) -> Iterator[httpx.Client]:
    """The same models asked over REST, with metrics on."""
    port, monitoring = free_port(), exported / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = f"--rest_api_port={port}", f"--monitoring_config_file={monitoring}"
    with (
        serving(exported, exported / "rest.log", *flags),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client,
    ):
        # REST opens last.
        eventually(lambda: "Exporting HTTP/REST API" in (exported / "rest.log").read_text())
        yield client


@pytest.mark.parametrize("name", HALF_PLUS_TWO)
@pytest.mark.parametrize(
    ("verb", "asked", "answered"),
    [
        ("predict", {"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
        ("predict", {"instances": [{"x": 2.0}]}, {"predictions": [3.0]}),
        ("predict", {"inputs": [2.0, 3.0]}, {"outputs": [3.0, 3.5]}),
        (
            "classify",
            {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]},
            {"results": [[["", 3.0]]]},
        ),
        (
            "regress",
            {"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}, {"x": 200.0}]},
            {"results": [42.0, 102.0]},
        ),
    ],
)
def test_rest(rest: httpx.Client, name: str, verb: str, asked: Any, answered: Any) -> None:
    answer = rest.post(f"/v1/models/{name}:{verb}", json=asked)

    assert (200, answered) == (answer.status_code, answer.json())


def test_rest_metadata_and_status_speak_of_the_version(rest: httpx.Client) -> None:
    metadata = rest.get("/v1/models/half_plus_two/metadata").json()
    status = rest.get("/v1/models/half_plus_two").json()

    assert {"name": "half_plus_two", "signature_name": "", "version": "123"} == metadata["model_spec"]
    assert "regress_x_to_y" in metadata["metadata"]["signature_def"]["signature_def"]
    assert [("123", "AVAILABLE")] == [(each["version"], each["state"]) for each in status["model_version_status"]]


def test_metrics_count_what_rest_answered(rest: httpx.Client) -> None:
    rest.post("/v1/models/half_plus_three:predict", json={"instances": [2.0]})
    page = rest.get("/monitoring/prometheus/metrics").text

    assert ':tensorflow:serving:request_count{model_name="half_plus_three",status="OK"} 1' in page
    assert ':tensorflow:cc:saved_model:load_attempt_count{model_path="' in page
