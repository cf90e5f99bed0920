from typing import Any

import pytest

from serving.apis import predict_pb2, tensor_pb2, types_pb2
from serving.inference.predict import predict
from serving.status import FailedPreconditionError, InvalidArgumentError, StatusError
from tests.serving.model_server.world import Times, floats


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
