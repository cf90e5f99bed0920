"""`POST /v1/classify/{model}`: images in, the likeliest labels of each out, and which version and replica answered."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from serving.client import Classified
from serving.errors import RefusedError
from serving.gateway.errors import GatewayError
from serving.gateway.models.models import Model, models_of, seconds_of, until_gone
from serving.gateway.observation.facts import facts_of
from serving.gateway.routes.openapi import path_parameters, query_parameter
from serving.gateway.uploads.encoded import Named
from serving.gateway.uploads.images import Converter
from serving.gateway.uploads.received import received

router = APIRouter()

TOP = 5
MOST_TOP = 1000
MOST_VERSION = 2**63 - 1


class Label(BaseModel):
    """A label and its probability."""

    label: str
    probability: float


class Prediction(BaseModel):
    """The likeliest labels of one image, the likeliest first."""

    name: str | None
    labels: list[Label]


class Classification(BaseModel):
    """The answer."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    version: int
    replica: str
    predictions: list[Prediction]


_BASE64 = {"type": "string", "contentEncoding": "base64", "description": "a PNG or JPEG in base64"}
# What the route reads by itself: a fifth of a request's time would go into having the framework read two parameters.
_DOCUMENTED = {
    "parameters": [
        *path_parameters("model")["parameters"],
        query_parameter("top", most=MOST_TOP, description="how many labels of each image"),
        query_parameter("version", most=MOST_VERSION, description="ask exactly this version"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "items": _BASE64},
                        "top": {"type": "integer", "minimum": 1, "maximum": MOST_TOP},
                    },
                }
            },
        },
    },
}


@router.post(
    "/v1/classify/{model}", response_model=Classification, openapi_extra=_DOCUMENTED, summary="Classify images"
)
async def classify(request: Request) -> Response:
    """Send one image as the body, or one or many as multipart files or as base64 in JSON.

    The answer names the version and the replica that computed it, in its body and in X-Model-Version and X-Replica.
    """
    model = request.path_params["model"]
    asked = models_of(request).named(model)
    top, version = whole_number(request, "top", most=MOST_TOP), whole_number(request, "version", most=MOST_VERSION)
    images, wanted = await received(request)
    answer = await until_gone(request, classified(request, asked, images, version=version))
    document = {
        "model": model,
        "version": answer.version,
        "replica": answer.address,
        "predictions": [
            {"name": image.name, "labels": [{"label": label, "probability": p} for label, p in labels]}
            for image, labels in zip(images, answer.top(top or _top(wanted)), strict=True)
        ],
    }
    return Response(
        # In ASCII: the name of an image may hold half a surrogate pair, which UTF-8 has no bytes for.
        json.dumps(document),
        media_type="application/json",
        headers={"X-Model-Version": str(answer.version), "X-Replica": answer.address},
    )


async def classified(request: Request, model: Model, images: Sequence[Named], *, version: int | None) -> Classified:
    """What the model says about these images.

    Raises:
        GatewayError: an image cannot be used, or the model servers did not answer.
    """
    converter: Converter = request.app.state.converter
    facts = facts_of(request.scope)
    facts.model, facts.images = model.name, len(images)
    facts.image_bytes = sum(len(image.content) for image in images)
    contents = await converter.decodable(images)
    try:
        with model.asked(len(contents), version=version):
            return await model.client.classify(model.name, contents, version=version, timeout=seconds_of(request))
    except GatewayError as error:
        if isinstance(error.__cause__, RefusedError):
            # Its header was right, and what is behind it is not.
            await converter.explain(images)
            raise GatewayError(422, error.message) from error
        raise


def whole_number(request: Request, name: str, *, most: int) -> int | None:
    """A parameter of the address; None if it is not there.

    Raises:
        GatewayError: 400, it is not a whole number from 1 to `most`.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    # More digits than the largest number has would take long to read.
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else 0
    if not 1 <= number <= most:
        raise GatewayError(400, f"{name} must be a whole number from 1 to {most}")
    return number


def _top(wanted: Any) -> int:
    if wanted is None:
        return TOP
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_TOP:
        raise GatewayError(400, f"top must be a whole number from 1 to {MOST_TOP}")
    return wanted
