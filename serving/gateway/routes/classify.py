"""`POST /v1/classify/{model}`: images in, the likeliest labels of each out, and which version and replica answered."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from serving.client import Classified
from serving.errors import RefusedError
from serving.gateway.errors import GatewayError
from serving.gateway.models import Model, models_of, seconds_of, until_gone
from serving.gateway.observation.facts import facts_of
from serving.gateway.settings import Settings
from serving.gateway.uploads.body import read_body
from serving.gateway.uploads.encoded import Named, images_of
from serving.gateway.uploads.images import Converter
from serving.gateway.uploads.multipart import files_of

router = APIRouter()

TOP = 5
MOST_TOP = 1000


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
_BODY = {
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
                        "top": {"type": "integer", "minimum": 1},
                    },
                }
            },
        },
    }
}


@router.post("/v1/classify/{model}", response_model=Classification, openapi_extra=_BODY, summary="Classify images")
async def classify(
    request: Request,
    model: str,
    top: Annotated[int | None, Query(ge=1, le=MOST_TOP, description="how many labels of each image")] = None,
    version: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="ask exactly this version")] = None,
) -> Response:
    """Send one image as the body, or one or many as multipart files or as base64 in JSON.

    The answer names the version and the replica that computed it, in its body and in X-Model-Version and X-Replica.
    """
    asked = models_of(request).named(model)
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


async def received(request: Request) -> tuple[Sequence[Named], Any]:
    """The images of a request in whichever way they were sent, and the `top` of a JSON body.

    Raises:
        GatewayError: 400, 408, 413 or 415; see the modules of `uploads`.
    """
    settings: Settings = request.app.state.settings
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if not (
        kind.startswith("image/") or kind in ("multipart/form-data", "application/json", "application/octet-stream")
    ):
        text = "send an image as the body (Content-Type: image/png or image/jpeg), as multipart/form-data, or as JSON"
        raise GatewayError(415, text)
    body = await read_body(request, settings.limits)
    if kind == "application/json":
        return images_of(body, most=settings.limits.images)
    if kind == "multipart/form-data":
        parts = files_of(body, content_type, most=settings.limits.images)
        return [Named(part.name or None, part.content) for part in parts], None
    return [Named(None, body)], None


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


def _top(wanted: Any) -> int:
    if wanted is None:
        return TOP
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_TOP:
        raise GatewayError(400, f"top must be a number from 1 to {MOST_TOP}")
    return wanted
