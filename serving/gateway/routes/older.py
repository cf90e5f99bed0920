"""`POST /model/predict/` with the multipart field `file`, for clients of an older API.

    {"success": true, "predictions": [{"label": "7", "probability": 0.98}, ...]}
    {"success": false, "error": "a sentence"}

That API knows one model: it is the first one that the gateway was started with, and X-Model says its name.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from serving.gateway.errors import GatewayError, note
from serving.gateway.models.models import models_of, until_gone
from serving.gateway.routes.classify import TOP, classified
from serving.gateway.routes.openapi import ERRORS, multipart_body
from serving.gateway.settings import Settings
from serving.gateway.uploads.body import read_body
from serving.gateway.uploads.encoded import Named
from serving.gateway.uploads.multipart import files_of

FIELD = "file"

router = APIRouter(tags=["older API"])


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
    status: response if status in (401, 429) else {**response, "model": OlderError}
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
        return await _predicted(request)
    except GatewayError as error:
        note(request, error)
        return JSONResponse({"success": False, "error": error.message}, error.status, error.headers)


async def _predicted(request: Request) -> Response:
    models = models_of(request)
    asked = models[next(iter(models))]
    image = await _image(request)
    answer = await until_gone(request, classified(request, asked, [image], version=None))
    (labels,) = answer.top(TOP)
    document = {"success": True, "predictions": [{"label": label, "probability": p} for label, p in labels]}
    headers = {"X-Model": asked.name, "X-Model-Version": str(answer.version), "X-Replica": answer.address}
    return JSONResponse(document, headers=headers)


async def _image(request: Request) -> Named:
    settings: Settings = request.app.state.settings
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise GatewayError(415, f"send the image as multipart/form-data, in the field {FIELD!r}")
    body = await read_body(request, settings.limits)
    parts = files_of(body, content_type, most=settings.limits.images)
    if [part.field for part in parts] != [FIELD]:
        raise GatewayError(400, f"send exactly one file, in the field {FIELD!r}; there are {len(parts)} files")
    return Named(parts[0].name or None, parts[0].content)
