"""A request of the Open Inference Protocol, answered by the model servers."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving import signature
from serving.apis import types_pb2
from serving.errors import DiscoveryError, RefusedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.inference_protocol.request import InferenceRequest, check_signature
from serving.gateway.models import Model
from serving.gateway.uploads.encoded import Named
from serving.gateway.uploads.images import Converter
from serving.messages import Metadata
from serving.replica import Answer
from serving.wire import Array


async def inferred(
    asked: Model, request: InferenceRequest, version: int | None, converter: Converter, *, most: int, seconds: float
) -> Answer:
    """The answer of exactly this version, or of the one that serves.

    Args:
        asked: the model.
        request: its inputs and the wanted outputs.
        version: None for the one that serves.
        converter: of images.
        most: how many images there may be.
        seconds: until the model servers must have answered.

    Raises:
        ProtocolError: the request does not fit the signature.
        GatewayError: 413 or 422, an image cannot be used; or the model servers did not answer.
    """
    label = asked.label if version is None else None
    definition = await _definition(asked, version, label)
    check_signature(request, definition)
    images = images_in(request.inputs, definition, most=most)
    inputs = await _decodable(request.inputs, images, converter)
    try:
        with asked.asked(_rows(inputs), version=version):
            answer: Answer = await asked.client.predict(
                asked.name,
                inputs,
                version=version,
                label=label,
                outputs=tuple(output.name for output in request.outputs),
                timeout=seconds,
            )
    except GatewayError as error:
        if images and isinstance(error.__cause__, RefusedError):
            # Its header was right, and what is behind it is not.
            await converter.explain(images)
        raise
    if version is None:
        asked.signatures.answered(label, answer.version)
    return answer


def default_signature(known: Metadata) -> Any:
    """The SignatureDef of a version that the protocol serves.

    Raises:
        GatewayError: it has none.
    """
    definition = known.signatures.get(signature.NAME)
    if definition is None:
        raise GatewayError(404, f"version {known.version} has no signature {signature.NAME}; ask it by /v1/models")
    return definition


def images_in(inputs: Mapping[str, Array], definition: Any, *, most: int) -> Sequence[Named]:
    """The images of a request to an image classifier; none for other models.

    Raises:
        GatewayError: 413, they are more than so many.
    """
    info = definition.inputs.get(signature.INPUT)
    is_classifier = set(signature.OUTPUTS) <= set(definition.outputs)
    if info is None or info.dtype != types_pb2.DT_STRING or not is_classifier:
        return []
    images = inputs[signature.INPUT].reshape(-1).tolist()
    if len(images) > most:
        raise GatewayError(413, f"the request has more than {most} images; send fewer at once")
    return [Named(None, content) for content in images]


async def _definition(asked: Model, version: int | None, label: str | None) -> Any:
    try:
        return default_signature(await asked.signatures.of(version=version, label=label))
    except (ServingError, DiscoveryError) as error:
        raise of_serving(error, asked.name, version=version) from error


async def _decodable(inputs: Mapping[str, Array], images: Sequence[Named], converter: Converter) -> Mapping[str, Array]:
    """The inputs, the images among them as the model decodes them."""
    if not images:
        return inputs
    shape = inputs[signature.INPUT].shape
    converted = signature.inputs_of(await converter.decodable(images))[signature.INPUT]
    return {**inputs, signature.INPUT: converted.reshape(shape)}


def _rows(inputs: Mapping[str, Array]) -> int:
    return max((len(array) for array in inputs.values() if array.ndim and len(array)), default=1)
