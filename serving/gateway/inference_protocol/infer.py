"""A request of the Open Inference Protocol, answered by the model servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving import signature
from serving.apis import types_pb2
from serving.client.deadline import Deadline
from serving.errors import RefusedError
from serving.gateway.errors import GatewayError
from serving.gateway.inference_protocol.datatypes import ProtocolError
from serving.gateway.inference_protocol.request import InferenceRequest, check_signature
from serving.gateway.models.models import Model, count_rows, seconds_left
from serving.gateway.models.target import Target
from serving.gateway.uploads.images import Converter
from serving.gateway.uploads.named_image import NamedImage
from serving.messages import Metadata
from serving.replica import Answer
from serving.wire import Array


async def infer(
    model: Model, request: InferenceRequest, target: Target, converter: Converter, *, limit: int, deadline: Deadline
) -> Answer:
    """The answer of exactly this version, or of the one that serves.

    Args:
        model: the model.
        request: its inputs and the wanted outputs.
        target: its version.
        converter: of images.
        limit: how many images there may be.
        deadline: by when the model servers must have answered.

    Raises:
        ProtocolError: the request does not fit the signature.
        GatewayError: 413 or 422, an image cannot be used; or the model servers did not answer.
    """
    inference = _Inference(model, request, target, converter, limit=limit, deadline=deadline)
    return await model.retry_if_moved(target, inference.run, refusal=ProtocolError)


def default_signature(known: Metadata) -> Any:
    """The SignatureDef of a version that the protocol serves.

    Raises:
        GatewayError: it has none.
    """
    definition = known.signatures.get(signature.NAME)
    if definition is None:
        raise GatewayError(404, f"version {known.version} has no signature {signature.NAME}; ask it by /v1/models")
    return definition


def images_in(inputs: Mapping[str, Array], definition: Any, *, limit: int) -> Sequence[NamedImage]:
    """The images of a request to an image classifier; none for other models.

    Raises:
        GatewayError: 413, they are more than so many.
    """
    info = definition.inputs.get(signature.INPUT)
    is_classifier = set(signature.OUTPUTS) <= set(definition.outputs)
    if info is None or info.dtype != types_pb2.DT_STRING or not is_classifier:
        return []
    images = inputs[signature.INPUT].reshape(-1).tolist()
    if len(images) > limit:
        raise GatewayError(413, f"the request has more than {limit} images; send fewer at once")
    return [NamedImage(None, content) for content in images]


@dataclass(frozen=True)
class _Inference:
    """The arguments of `infer`."""

    model: Model
    request: InferenceRequest
    target: Target
    converter: Converter
    limit: int
    deadline: Deadline

    async def run(self) -> Answer:
        definition = default_signature(await self.model.signatures.get(self.target))
        check_signature(self.request, definition)
        images = images_in(self.request.inputs, definition, limit=self.limit)
        inputs = await _decodable(self.request.inputs, images, self.converter)
        try:
            answer = await self._send(inputs)
        except GatewayError as error:
            if images and isinstance(error.__cause__, RefusedError):
                # Its header was right, and what is behind it is not.
                await self.converter.explain(images)
            raise
        self.model.signatures.observe(self.target, answer.version)
        return answer

    async def _send(self, inputs: Mapping[str, Array]) -> Answer:
        async with self.model.request(count_rows(inputs), version=self.target.version):
            answer: Answer = await self.model.client.predict(
                self.model.name,
                inputs,
                version=self.target.version,
                label=self.target.label,
                outputs=tuple(output.name for output in self.request.outputs),
                timeout=seconds_left(self.deadline),
            )
            return answer


async def _decodable(
    inputs: Mapping[str, Array], images: Sequence[NamedImage], converter: Converter
) -> Mapping[str, Array]:
    """The inputs, the images among them as the model decodes them."""
    if not images:
        return inputs
    shape = inputs[signature.INPUT].shape
    converted = signature.inputs_of(await converter.decodable(images))[signature.INPUT]
    return {**inputs, signature.INPUT: converted.reshape(shape)}
