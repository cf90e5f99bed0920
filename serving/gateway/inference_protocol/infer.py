"""A request of the Open Inference Protocol, answered by the model servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving import signature
from serving.apis import types_pb2
from serving.errors import DiscoveryError, RefusedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.inference_protocol.datatypes import ProtocolError
from serving.gateway.inference_protocol.request import InferenceRequest, check_signature
from serving.gateway.models.models import Model
from serving.gateway.tensorflow_rest.predict import is_refused
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
    known = asked.signatures.known(version=version, label=label)
    ask = _Ask(asked, request, version, label, converter, most=most, seconds=seconds)
    try:
        return await ask.answered()
    except (ProtocolError, GatewayError) as error:
        if not is_refused(error) or not await asked.signatures.moved(version=version, label=label, before=known):
            raise
    return await ask.answered()


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


@dataclass(frozen=True)
class _Ask:
    """The arguments of `inferred`, and the label instead of a version."""

    asked: Model
    request: InferenceRequest
    version: int | None
    label: str | None
    converter: Converter
    most: int
    seconds: float

    async def answered(self) -> Answer:
        definition = await _definition(self.asked, self.version, self.label)
        check_signature(self.request, definition)
        images = images_in(self.request.inputs, definition, most=self.most)
        inputs = await _decodable(self.request.inputs, images, self.converter)
        try:
            answer = await self._sent(inputs)
        except GatewayError as error:
            if images and isinstance(error.__cause__, RefusedError):
                # Its header was right, and what is behind it is not.
                await self.converter.explain(images)
            raise
        if self.version is None:
            self.asked.signatures.answered(self.label, answer.version)
        return answer

    async def _sent(self, inputs: Mapping[str, Array]) -> Answer:
        with self.asked.asked(_rows(inputs), version=self.version):
            answer: Answer = await self.asked.client.predict(
                self.asked.name,
                inputs,
                version=self.version,
                label=self.label,
                outputs=tuple(output.name for output in self.request.outputs),
                timeout=self.seconds,
            )
            return answer


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
