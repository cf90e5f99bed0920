"""Predict requests of TensorFlow Serving's REST API, answered by gRPC: bodies in, bodies out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from serving import signature
from serving.apis import predict_pb2
from serving.client.deadline import Deadline
from serving.gateway.models.models import Model, count_rows, seconds_left
from serving.gateway.models.target import Target
from serving.gateway.offload import in_thread_if_large
from serving.gateway.settings import Limits
from serving.gateway.uploads.json_values import LARGEST_OF_TENSORS, check_values
from serving.gateway.uploads.pixels import check_count, check_pixels
from serving.messages import Metadata
from serving.replica import Answer
from serving.rest_json.predict_request import JsonPredictFormat, fill_predict_request
from serving.rest_json.responses import predict_response
from serving.status import InvalidArgumentError, StatusError
from serving.wire import Array, from_proto, to_proto


@dataclass(frozen=True)
class _Inputs:
    """A body as arrays for a signature."""

    arrays: Mapping[str, Array]
    signature: str
    form: JsonPredictFormat


class _NotKnownError(Exception):
    """A body is well formed so far, and the signatures are needed, which must be fetched."""


async def predict(
    model: Model, target: Target, body: bytes, *, limits: Limits, deadline: Deadline
) -> tuple[bytes, Answer]:
    """The body of the answer to a predict body, and the answer in it.

    Args:
        model: the model.
        target: its version.
        body: of the request.
        limits: on its images.
        deadline: by when the model servers must have answered.

    Raises:
        StatusError: the body is refused, in TensorFlow Serving's words.
        GatewayError: 413, it has too many values, images or pixels; or the model servers did not answer.
    """
    form, answer = await model.retry_if_moved(
        target, lambda: _send(model, target, body, limits=limits, deadline=deadline), refusal=StatusError
    )
    protos = {name: to_proto(array, as_content=array.dtype != object) for name, array in answer.outputs.items()}
    return await in_thread_if_large(len(body), lambda: predict_response(protos, form)), answer


async def _send(
    model: Model, target: Target, body: bytes, *, limits: Limits, deadline: Deadline
) -> tuple[JsonPredictFormat, Answer]:
    known = model.signatures.known(target)
    try:
        inputs = await in_thread_if_large(len(body), partial(_parse, body, known, limits))
    except _NotKnownError:
        known = await model.signatures.fetch(target)
        inputs = await in_thread_if_large(len(body), partial(_parse, body, known, limits))
    async with model.request(count_rows(inputs.arrays), version=target.version):
        answer: Answer = await model.client.predict(
            model.name,
            inputs.arrays,
            version=target.version,
            label=target.label,
            signature=inputs.signature,
            timeout=seconds_left(deadline),
        )
    model.signatures.observe(target, answer.version)
    return inputs.form, answer


def _parse(body: bytes, known: Metadata | None, limits: Limits) -> _Inputs:
    check_values(body, limit=LARGEST_OF_TENSORS)
    request = predict_pb2.PredictRequest()
    form = fill_predict_request(body, request, lambda name: _inputs_of(known, name))
    arrays = {name: _array(name, request.inputs[name]) for name in sorted(request.inputs)}
    name = request.model_spec.signature_name or signature.NAME
    if known is not None and set(signature.OUTPUTS) <= set(known.signatures[name].outputs):
        check_count(arrays, limit=limits.images)
    check_pixels(arrays, limit=limits.pixels)
    return _Inputs(arrays, name, form)


def _array(name: str, proto: Any) -> Array:
    try:
        return from_proto(proto)
    except (ValueError, OverflowError, MemoryError) as error:
        # As the server says it, for example of more dimensions than NumPy has.
        raise InvalidArgumentError(f"tensor parsing error: {name}") from error


def _inputs_of(known: Metadata | None, name: str) -> Mapping[str, Any]:
    if known is None:
        raise _NotKnownError
    name = name or signature.NAME
    if name not in known.signatures:
        raise InvalidArgumentError(f'Serving signature name: "{name}" not found in signature def')
    inputs: Mapping[str, Any] = known.signatures[name].inputs
    return inputs
