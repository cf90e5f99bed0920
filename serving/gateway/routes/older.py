"""`POST /model/predict/` with the multipart field `file`, for clients of an older API.

    {"success": true, "predictions": [{"label": "7", "probability": 0.98}, ...]}
    {"success": false, "error": "a sentence"}

That API knows one model: it is the first one that the gateway was started with, and X-Model says its name.
"""

from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from serving.gateway.classification import classify_images
from serving.gateway.errors import GatewayError, note
from serving.gateway.observation.facts import facts_of
from serving.gateway.offload import LARGE_UPLOAD, in_thread_if_large
from serving.gateway.routes.classify import TOP
from serving.gateway.routes.openapi import ERRORS, multipart_body
from serving.gateway.routes.request import deadline_of, models_of, until_gone
from serving.gateway.settings import Settings
from serving.gateway.uploads.body import read_body
from serving.gateway.uploads.multipart import files_of
from serving.gateway.uploads.named_image import NamedImage

FIELD = "file"

router = APIRouter(tags=["Older API"])


class OlderPrediction(BaseModel):
    label: str
    probability: float


class OlderAnswer(BaseModel):
    success: Literal[True]
    predictions: list[OlderPrediction]


class OlderError(BaseModel):
    success: bool = False
    error: str


# A key is asked for before a route is: that error is as everywhere.
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: response if status in (401, 403, 429, 500) else {**response, "model": OlderError}
    for status, response in ERRORS.items()
}


@router.post(
    "/model/predict/",
    response_model=OlderAnswer,
    responses=_ERRORS,
    openapi_extra=multipart_body(FIELD),
    summary="Classify one image, as an older API did",
)
@router.post("/model/predict", include_in_schema=False)
async def predict(request: Request) -> Response:
    """Send one image in the multipart field `file`. The first model that the gateway was started with is asked."""
    try:
        return await _predict(request)
    except GatewayError as error:
        note(request, error)
        return JSONResponse({"success": False, "error": error.message}, error.status, error.headers)


async def _predict(request: Request) -> Response:
    models = models_of(request)
    model = models[next(iter(models))]
    image = await _image(request)
    work = classify_images(
        model,
        [image],
        version=None,
        converter=request.app.state.converter,
        facts=facts_of(request.scope),
        deadline=deadline_of(request),
    )
    answer = await until_gone(request, work)
    (labels,) = answer.top(TOP)
    document = {"success": True, "predictions": [{"label": label, "probability": p} for label, p in labels]}
    headers = {"X-Model": model.name, "X-Model-Version": str(answer.version), "X-Replica": answer.address}
    return JSONResponse(document, headers=headers)


async def _image(request: Request) -> NamedImage:
    settings: Settings = request.app.state.settings
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise GatewayError(415, f"send the image as multipart/form-data, in the field {FIELD!r}")
    body = await read_body(request, settings.limits)
    split = partial(files_of, body, content_type, limit=settings.limits.images)
    parts = await in_thread_if_large(len(body), split, large=LARGE_UPLOAD)
    if len(parts) != 1:
        raise GatewayError(400, f"send exactly one file, in the field {FIELD!r}; there are {len(parts)} files")
    if parts[0].field != FIELD:
        raise GatewayError(400, f"send the file in the field {FIELD!r}; it came in {parts[0].field[:100]!r}")
    return NamedImage(parts[0].name or None, parts[0].content)
