"""Requests of TensorFlow Serving's REST API, answered by gRPC: bodies in, bodies out."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from serving import signature
from serving.apis import SIGNATURE_DEF, get_model_metadata_pb2, predict_pb2
from serving.errors import DiscoveryError, RefusedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.models.models import Model
from serving.gateway.uploads.pixels import check_pixels
from serving.messages import Metadata
from serving.replica import Answer
from serving.rest_json.predict_request import JsonPredictFormat, fill_predict_request
from serving.rest_json.responses import predict_response
from serving.rest_json.status_and_metadata import metadata_body, status_body
from serving.status import InvalidArgumentError, StatusError
from serving.wire import Array, from_proto, to_proto

# What takes longer to parse than the event loop should stand still, in bytes.
LARGE_BODY = 16 * 1024

Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """The version that is asked for, or else the label; neither is the newest version."""

    version: int | None
    label: str | None


@dataclass(frozen=True)
class _Filled:
    """A body as arrays for a signature."""

    inputs: Mapping[str, Array]
    signature: str
    form: JsonPredictFormat


class _NotKnownError(Exception):
    """A body is well formed so far, and the signatures are needed, which must be asked for."""


async def predicted(asked: Model, target: Target, body: bytes, *, pixels: int, seconds: float) -> tuple[bytes, Answer]:
    """The body of the answer to a predict body, and the answer in it.

    Args:
        asked: the model.
        target: its version.
        body: of the request.
        pixels: the most that its images may have together.
        seconds: until the model servers must have answered.

    Raises:
        StatusError: the body is refused, in TensorFlow Serving's words.
        GatewayError: its images have too many pixels, or the model servers did not answer.
    """
    known = asked.signatures.known(version=target.version, label=target.label)
    try:
        form, answer = await _answered(asked, target, body, pixels=pixels, seconds=seconds)
    except (StatusError, GatewayError) as error:
        if not is_refused(error) or not await asked.signatures.moved(
            version=target.version, label=target.label, before=known
        ):
            raise
        form, answer = await _answered(asked, target, body, pixels=pixels, seconds=seconds)
    protos = {name: to_proto(array, as_content=array.dtype != object) for name, array in answer.outputs.items()}
    return await aside(len(body), lambda: predict_response(protos, form)), answer


async def metadata(asked: Model, target: Target) -> bytes:
    """The body with all signatures of a version. A replica is asked each time.

    Raises:
        GatewayError: the model servers did not answer.
    """
    known = await signatures_of(asked, target)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec={"name": asked.name})
    response.model_spec.version.value = known.version
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=known.signatures)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return metadata_body(response)


async def status(asked: Model, version: int | None) -> bytes:
    """The body with the states that one replica has seen: of a version, or of all.

    Raises:
        GatewayError: the model servers did not answer.
    """
    try:
        return status_body(await asked.client.status(asked.name, version=version))
    except (ServingError, DiscoveryError) as error:
        raise of_serving(error, asked.name, version=version) from error


async def signatures_of(asked: Model, target: Target) -> Metadata:
    """What a replica says that the version can be asked.

    Raises:
        GatewayError: the model servers did not answer.
    """
    try:
        return await asked.signatures.asked(version=target.version, label=target.label)
    except (ServingError, DiscoveryError) as error:
        raise of_serving(error, asked.name, version=target.version) from error


async def aside(size: int, work: Callable[[], Result]) -> Result:
    """Work on so many bytes: in a thread if the event loop would stand still for it."""
    return await asyncio.to_thread(work) if size > LARGE_BODY else work()


def is_refused(error: Exception) -> bool:
    """Whether the request itself was refused, here or by a replica; it might be right for another version."""
    return not isinstance(error, GatewayError) or isinstance(error.__cause__, RefusedError)


async def _answered(
    asked: Model, target: Target, body: bytes, *, pixels: int, seconds: float
) -> tuple[JsonPredictFormat, Answer]:
    known = asked.signatures.known(version=target.version, label=target.label)
    try:
        filled = await aside(len(body), partial(_filled, body, known))
    except _NotKnownError:
        known = await signatures_of(asked, target)
        filled = await aside(len(body), partial(_filled, body, known))
    check_pixels(filled.inputs, most=pixels)
    rows = max((len(array) for array in filled.inputs.values() if array.ndim), default=1)
    with asked.asked(max(1, rows), version=target.version):
        answer: Answer = await asked.client.predict(
            asked.name,
            filled.inputs,
            version=target.version,
            label=target.label,
            signature=filled.signature,
            timeout=seconds,
        )
    if target.version is None:
        asked.signatures.answered(target.label, answer.version)
    return filled.form, answer


def _filled(body: bytes, known: Metadata | None) -> _Filled:
    request = predict_pb2.PredictRequest()
    form = fill_predict_request(body, request, lambda name: _inputs_of(known, name))
    inputs = {name: _array(name, request.inputs[name]) for name in sorted(request.inputs)}
    return _Filled(inputs, request.model_spec.signature_name or signature.NAME, form)


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
