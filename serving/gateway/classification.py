"""Images to a model, and its labels back."""

from collections.abc import Sequence

from serving.client import Classified
from serving.client.deadline import Deadline
from serving.errors import RefusedError
from serving.gateway.errors import GatewayError
from serving.gateway.models.models import Model, seconds_left
from serving.gateway.observation.facts import Facts
from serving.gateway.uploads.images import Converter
from serving.gateway.uploads.named_image import NamedImage


async def classify_images(
    model: Model,
    images: Sequence[NamedImage],
    *,
    version: int | None,
    converter: Converter,
    facts: Facts,
    deadline: Deadline,
) -> Classified:
    """What the model says about these images.

    Args:
        model: the model.
        images: as they were sent.
        version: None for the one that serves.
        converter: of images.
        facts: of the request; the model and the images are noted there.
        deadline: by when the model servers must have answered.

    Raises:
        GatewayError: an image cannot be used, or the model servers did not answer.
    """
    facts.model, facts.images = model.name, len(images)
    facts.image_bytes = sum(len(image.content) for image in images)
    model.require_room()
    contents = await converter.decodable(images)
    try:
        async with model.request(len(contents), version=version):
            return await model.client.classify(model.name, contents, version=version, timeout=seconds_left(deadline))
    except GatewayError as error:
        if isinstance(error.__cause__, RefusedError):
            # Its header was right, and what is behind it is not.
            await converter.explain(images)
            raise GatewayError(422, error.message) from error
        raise
