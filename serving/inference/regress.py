"""One RegressionRequest against one loaded model: Examples in, one number for each of them."""

from typing import Any

from google.protobuf import text_format

from serving.apis import regression_pb2
from serving.inference import examples
from serving.inference.examples import Outputs
from serving.inference.model import Model
from serving.status import InvalidArgumentError
from serving.type_names import enum_name, shape_name

METHOD_NAME = "tensorflow/serving/regress"
INPUTS = "inputs"
OUTPUTS = "outputs"


def regress(
    model: Model,
    request: Any,
    *,
    version: int | None = None,
    check_method_name: bool = False,
    timeout_seconds: float | None = None,
) -> Any:
    """The RegressionResponse; its model_spec names the version given, which is the one that answers."""
    signature, outputs = examples.ask(
        model, request, tensors, check_method_name=check_method_name, timeout_seconds=timeout_seconds
    )
    return regression_pb2.RegressionResponse(
        model_spec=examples.answering(request.model_spec, version), result=result(signature, outputs)
    )


def tensors(signature: Any, *, check_method_name: bool = False) -> tuple[str, list[str]]:
    """The tensor that takes the Examples and those to fetch; raises when this is no signature of a regression."""
    if check_method_name and signature.method_name != METHOD_NAME:
        raise InvalidArgumentError(
            f"Expected regression signature method_name to be {METHOD_NAME}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise InvalidArgumentError(
            f"No regression inputs found in SignatureDef: {text_format.MessageToString(signature)}"
        )
    if OUTPUTS not in signature.outputs:
        raise InvalidArgumentError(
            f"No regression outputs found in SignatureDef: {text_format.MessageToString(signature)}"
        )
    return signature.inputs[INPUTS].name, [signature.outputs[OUTPUTS].name]


def result(signature: Any, outputs: Outputs) -> Any:
    """The RegressionResult; raises when what the model gave is not one number for each Example."""
    array = outputs.tensors[signature.outputs[OUTPUTS].name]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{shape_name(array.shape)}"
        )
    if len(array) != outputs.examples:
        raise InvalidArgumentError(
            f"Input batch size did not match output batch size: {outputs.examples} vs. {len(array)}"
        )
    if enum_name(array.dtype) != "DT_FLOAT":
        raise InvalidArgumentError(f"Expected output Tensor of DT_FLOAT.  Got: {enum_name(array.dtype)}")
    values = array.reshape(-1).tolist()
    return regression_pb2.RegressionResult(regressions=[regression_pb2.Regression(value=value) for value in values])
