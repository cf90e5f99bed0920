"""One ClassificationRequest against one loaded model: Examples in, for each of them labels or scores or both."""

from typing import Any

import numpy as np
from google.protobuf import text_format

from serving.apis import classification_pb2
from serving.inference import examples
from serving.inference.examples import Outputs
from serving.inference.model import Model
from serving.status import InternalError, InvalidArgumentError
from serving.type_names import enum_name, shape_name
from serving.wire import Array

METHOD_NAME = "tensorflow/serving/classify"
INPUTS = "inputs"
CLASSES = "classes"
SCORES = "scores"


def classify(
    model: Model,
    request: Any,
    *,
    version: int | None = None,
    check_method_name: bool = False,
    timeout_seconds: float | None = None,
) -> Any:
    """The ClassificationResponse; its model_spec names the version given, which is the one that answers."""
    signature, outputs = examples.ask(
        model, request, tensors, check_method_name=check_method_name, timeout_seconds=timeout_seconds
    )
    return classification_pb2.ClassificationResponse(
        model_spec=examples.answering(request.model_spec, version), result=result(signature, outputs)
    )


def tensors(signature: Any, *, check_method_name: bool = False) -> tuple[str, list[str]]:
    """The tensor that takes the Examples and those to fetch; raises when this is no signature of a classifier."""
    if check_method_name and signature.method_name != METHOD_NAME:
        raise InvalidArgumentError(
            f"Expected classification signature method_name to be {METHOD_NAME}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise InvalidArgumentError(
            f"No classification inputs found in SignatureDef: {text_format.MessageToString(signature)}"
        )
    fetches = [signature.outputs[alias].name for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not fetches:
        raise InvalidArgumentError(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {text_format.MessageToString(signature)}"
        )
    return signature.inputs[INPUTS].name, fetches


def result(signature: Any, outputs: Outputs) -> Any:
    """The ClassificationResult; raises when what the model gave is no table of classes."""
    labels = _table(signature, CLASSES, "DT_STRING", outputs)
    scores = _table(signature, SCORES, "DT_FLOAT", outputs)
    if labels is not None and scores is not None and labels.shape[1] != scores.shape[1]:
        raise InvalidArgumentError(
            f"Tensors class and score should match in dim_size(1). Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    # What a signature leaves out reads as the default of its field: no label, a score of 0.
    if labels is None:
        labels = np.full_like(scores, b"", np.object_)
    if scores is None:
        scores = np.zeros_like(labels, np.float32)
    found = classification_pb2.ClassificationResult()
    for row in zip(labels, scores.tolist(), strict=True):
        classes = [classification_pb2.Class(label=_text(label), score=score) for label, score in zip(*row, strict=True)]
        found.classifications.add(classes=classes)
    return found


def _table(signature: Any, alias: str, expected_type: str, outputs: Outputs) -> Array | None:
    if alias not in signature.outputs:
        return None
    array = outputs.tensors[signature.outputs[alias].name]
    if array.ndim != 2:
        raise InvalidArgumentError(f"Expected Tensor shape: [batch_size num_classes] but got {shape_name(array.shape)}")
    if enum_name(array.dtype) != expected_type:
        raise InvalidArgumentError(f"Expected {alias} Tensor of {expected_type}. Got: {enum_name(array.dtype)}")
    if len(array) != outputs.examples:
        raise InvalidArgumentError(f"Expected {alias} output batch size of {outputs.examples}. Got: {len(array)}")
    return array


def _text(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise InternalError(f"the label {label!r} is not UTF-8, and a response holds nothing else") from error
