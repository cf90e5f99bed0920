from pathlib import Path
from typing import Any

import pytest

from serving.apis import predict_pb2, prediction_log_pb2, tensor_pb2, types_pb2
from serving.model_server.predict import predict
from serving.model_server.status import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    StatusError,
    UnimplementedError,
)
from serving.model_server.warmup import warm_up
from tests.model_server.world import Times, floats

REQUESTS = Path("/models/m/1/assets.extra/tf_serving_warmup_requests")


def request(signature: str = "", outputs: tuple[str, ...] = (), **inputs: Any) -> Any:
    made = predict_pb2.PredictRequest(model_spec={"name": "m", "signature_name": signature}, output_filter=outputs)
    for alias, proto in inputs.items():
        made.inputs[alias].CopyFrom(proto)
    return made


ONE = floats([1.5], [1])


def test_the_reply_names_the_version_and_the_signature_that_answered() -> None:
    response = predict(Times(2), request(x=ONE), version=7)

    assert (
        response.model_spec.name,
        response.model_spec.version.value,
        response.model_spec.signature_name,
    ) == ("m", 7, "serving_default")
    assert {alias: list(proto.float_val) for alias, proto in response.outputs.items()} == {"y": [3.0], "z": [-3.0]}


def test_the_output_filter_picks_outputs() -> None:
    assert list(predict(Times(2), request(outputs=("z",), x=ONE)).outputs) == ["z"]


def test_a_default_of_the_signature_stands_in_for_a_missing_input() -> None:
    model = Times(2)
    model.signatures["serving_default"].defaults["x"].CopyFrom(ONE)

    assert list(predict(model, request()).outputs["y"].float_val) == [3.0]


SIZE = "input size does not match signature: "
BAD_TENSOR = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"1", tensor_shape={"dim": [{"size": 1}]})
REFUSALS = {
    "signature": (request("s", x=ONE), FailedPreconditionError, 'Serving signature key "s" not found.'),
    "no input": (
        request(),
        InvalidArgumentError,
        f"{SIZE}0!=1 len({{}}) != len({{x}}). Sent extra: {{}}. Missing but required: {{x}}.",
    ),
    "one too many": (
        request(x=ONE, w=ONE),
        InvalidArgumentError,
        f"{SIZE}2!=1 len({{w,x}}) != len({{x}}). Sent extra: {{w}}. Missing but required: {{}}.",
    ),
    "wrong name": (
        request(w=ONE),
        InvalidArgumentError,
        "Signature input alias: x(feed name: x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {w}, or default input alias set: ",
    ),
    "broken tensor": (request(x=BAD_TENSOR), InvalidArgumentError, "tensor parsing error: x"),
    "wrong type": (
        request(x=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b""])),
        InvalidArgumentError,
        "Expects arg[0] to be float but string is provided",
    ),
    "unknown output": (
        request(outputs=("q",), x=ONE),
        InvalidArgumentError,
        "output tensor alias not found in signature: q Outputs expected to be in the set {y,z}.",
    ),
    "output twice": (
        request(outputs=("y", "y"), x=ONE),
        InvalidArgumentError,
        "duplicate output tensor alias: y",
    ),
}


@pytest.mark.parametrize(("asked", "error", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_have_upstream_s_words(asked: Any, error: type[StatusError], message: str) -> None:
    with pytest.raises(error) as refusal:
        predict(Times(2), asked)

    assert message == refusal.value.message


def record(asked: Any) -> bytes:
    return bytes(prediction_log_pb2.PredictionLog(predict_log={"request": asked}).SerializeToString())


def test_warm_up_runs_every_record() -> None:
    assert warm_up(Times(2), [record(request(x=ONE))] * 1000, path=REQUESTS) == 1000


def test_a_warm_up_request_that_fails_is_an_error_of_the_load() -> None:
    with pytest.raises(InvalidArgumentError, match="input size does not match signature"):
        warm_up(Times(2), [record(request())], path=REQUESTS)


def test_one_warm_up_record_more_than_a_thousand_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"Number of warmup records exceeds the maximum \(1000\) at /models"):
        warm_up(Times(2), [record(request(x=ONE))] * 1001, path=REQUESTS)


def test_warm_up_records_that_are_no_prediction_log_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Failed to parse warmup record"):
        warm_up(Times(2), [b"\xff\xff"], path=REQUESTS)


@pytest.mark.parametrize(("kind", "number"), [("classify_log", 2), ("session_run_log", 5), ("predict_streamed_log", 7)])
def test_kinds_of_warm_up_this_server_cannot_run(kind: str, number: int) -> None:
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).SetInParent()

    with pytest.raises(UnimplementedError, match=f"Unsupported log_type for warmup: {number}"):
        warm_up(Times(2), [log.SerializeToString()], path=REQUESTS)


def test_a_warm_up_file_that_is_no_tfrecord_says_what_to_check() -> None:
    def corrupted() -> Any:
        yield record(request(x=ONE))
        raise DataLossError("corrupted record at 0")

    with pytest.raises(DataLossError, match=r"corrupted record at 0\. Please verify your warmup data is in TFRecord"):
        warm_up(Times(2), corrupted(), path=REQUESTS)
