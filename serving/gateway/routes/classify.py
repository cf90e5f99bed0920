"""`POST /v1/classify/{model}`: images in, the likeliest labels of each out, and which version and replica answered."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from serving.gateway.classification import classify_images
from serving.gateway.errors import GatewayError
from serving.gateway.observation.facts import facts_of
from serving.gateway.routes.openapi import path_parameters, query_parameter
from serving.gateway.routes.request import deadline_of, models_of, until_gone, whole_number
from serving.gateway.uploads.read_images import read_images

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
        query_parameter("top", limit=MOST_TOP, description="how many labels of each image"),
        query_parameter("version", limit=MOST_VERSION, description="ask exactly this version"),
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
    found = models_of(request).named(model)
    top, version = whole_number(request, "top", limit=MOST_TOP), whole_number(request, "version", limit=MOST_VERSION)
    images, wanted = await read_images(request)
    work = classify_images(
        found,
        images,
        version=version,
        converter=request.app.state.converter,
        facts=facts_of(request.scope),
        deadline=deadline_of(request),
    )
    answer = await until_gone(request, work)
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


def _top(wanted: Any) -> int:
    if wanted is None:
        return TOP
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_TOP:
        raise GatewayError(400, f"top must be a whole number from 1 to {MOST_TOP}")
    return wanted
