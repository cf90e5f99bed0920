"""The Open Inference Protocol v2 over HTTP, for each model's signature `serving_default`.

Tensors may be raw bytes behind the JSON, see `serving/gateway/inference_protocol`. Images in BYTES are checked, and
converted where the model does not decode them, as uploads are.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from serving import signature
from serving.errors import DiscoveryError, NotServedError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.inference_protocol import infer as inference
from serving.gateway.inference_protocol import schemas
from serving.gateway.inference_protocol.datatypes import ProtocolError
from serving.gateway.inference_protocol.request import InferenceRequest, parse_request
from serving.gateway.inference_protocol.response import inference_response, model_metadata
from serving.gateway.models.models import Model
from serving.gateway.models.target import Target
from serving.gateway.observation.facts import facts_of
from serving.gateway.offload import in_thread_if_large
from serving.gateway.routes.openapi import json_body
from serving.gateway.routes.request import deadline_of, models_of, until_gone
from serving.gateway.settings import Settings
from serving.gateway.uploads.body import read_body
from serving.gateway.uploads.images import Converter
from serving.gateway.uploads.json_values import LARGEST_OF_TENSORS, check_values
from serving.rest_json.routes import LARGEST_VERSION
from serving.wire import Array

JSON, BINARY = "application/json", "application/octet-stream"
JSON_BYTES = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data"]
# How long a replica may take to say that a model is ready.
READY_SECONDS = 2.0

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

Version = Annotated[str, Path(description="a number")]


@router.get("", response_model=schemas.Server, summary="The server")
@router.get("/", response_model=schemas.Server, include_in_schema=False)
async def server(request: Request) -> Any:
    """Its name and version, and the extensions of the protocol that it knows."""
    return {"name": "understudy", "version": request.app.version, "extensions": EXTENSIONS}


@router.get("/health/live", response_model=schemas.Live, summary="Whether the gateway works")
async def live() -> Any:
    """200 as long as the process answers."""
    return {"live": True}


@router.get("/health/ready", response_model=schemas.ServerReady, summary="Whether all models are ready")
async def ready(request: Request) -> Any:
    """200 if a replica of each model answers for it, otherwise 503."""
    models = models_of(request)
    found = await asyncio.gather(*(_is_ready(model, None) for model in models.values()))
    missing = [name for name, is_ready in zip(models, found, strict=True) if not is_ready]
    if missing:
        raise GatewayError(503, f"not ready: {', '.join(missing)}", retry_after=1)
    return {"live": True, "ready": True}


@router.get("/models/{model}", response_model=schemas.Model, summary="The inputs and outputs of a model")
async def metadata(request: Request, model: str) -> Any:
    """Of the version that serves."""
    return await _metadata(models_of(request).named(model), None)


@router.get(
    "/models/{model}/versions/{version}", response_model=schemas.Model, summary="The inputs and outputs of a version"
)
async def metadata_of_version(request: Request, model: str, version: Version) -> Any:
    """Of exactly this version."""
    found = models_of(request).named(model)
    return await _metadata(found, _number(found, version))


@router.get("/models/{model}/ready", response_model=schemas.Ready, summary="Whether a model is ready")
async def model_ready(request: Request, model: str) -> Any:
    """200 if a replica answers for the version that serves, otherwise 503."""
    return await _ready(models_of(request).named(model), None)


@router.get(
    "/models/{model}/versions/{version}/ready", response_model=schemas.Ready, summary="Whether a version is ready"
)
async def version_ready(request: Request, model: str, version: Version) -> Any:
    """200 if a replica answers for exactly this version, otherwise 503; 404 if none has it."""
    found = models_of(request).named(model)
    return await _ready(found, _number(found, version))


_BODY = json_body(schemas.REQUEST)


@router.post("/models/{model}/infer", response_model=schemas.Inference, openapi_extra=_BODY, summary="Infer")
async def infer(request: Request, model: str) -> Response:
    """Ask the version that serves."""
    return await _infer(request, models_of(request).named(model), None)


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=schemas.Inference,
    openapi_extra=_BODY,
    summary="Infer, by a version",
)
async def infer_by_version(request: Request, model: str, version: Version) -> Response:
    """Ask exactly this version."""
    found = models_of(request).named(model)
    return await _infer(request, found, _number(found, version))


def _number(model: Model, version: str) -> int:
    is_number = version.isascii() and version.isdigit() and len(version) <= len(str(LARGEST_VERSION))
    if not is_number or int(version) > LARGEST_VERSION:
        raise GatewayError(404, f"{model.name} has no such version: versions are numbers")
    return int(version)


async def _is_ready(model: Model, version: int | None) -> bool:
    """Whether a replica says so now.

    Raises:
        GatewayError: 404, no replica has exactly this version.
    """
    try:
        await model.client.metadata(model.name, version=version, timeout=READY_SECONDS)
    except NotServedError as error:
        if version is not None:
            raise of_serving(error, model.name, version=version) from error
        return False
    except (ServingError, DiscoveryError):
        return False
    return True


async def _ready(model: Model, version: int | None) -> Any:
    if await _is_ready(model, version):
        return {"name": model.name, "ready": True}
    error = f"{model.name} is not ready: no replica answers for it"
    return JSONResponse({"name": model.name, "ready": False, "error": error}, 503, {"Retry-After": "1"})


async def _metadata(model: Model, version: int | None) -> Any:
    try:
        known = await model.client.metadata(model.name, version=version)
    except (ServingError, DiscoveryError) as error:
        raise of_serving(error, model.name, version=version) from error
    return model_metadata(model.name, known.version, inference.default_signature(known))


async def _infer(request: Request, model: Model, version: int | None) -> Response:
    settings: Settings = request.app.state.settings
    converter: Converter = request.app.state.converter
    json_bytes = _json_bytes(request)
    body = await read_body(request, settings.limits)
    try:
        parsed = await in_thread_if_large(len(body), partial(_parse, body, json_bytes))
        _note_images(request, parsed.inputs)
        target = Target(version, model.label if version is None else None)
        work = inference.infer(
            model, parsed, target, converter, limit=settings.limits.images, deadline=deadline_of(request)
        )
        answer = await until_gone(request, work)
        content, head = await in_thread_if_large(
            len(body), lambda: inference_response(parsed, answer.outputs, model=model.name, version=answer.version)
        )
    except ProtocolError as error:
        raise GatewayError(400, str(error)) from error
    headers = {"X-Model-Version": str(answer.version), "X-Replica": answer.address}
    if head is not None:
        headers[JSON_BYTES] = str(head)
    return Response(content, media_type=JSON if head is None else BINARY, headers=headers)


def _parse(body: bytes, json_bytes: int | None) -> InferenceRequest:
    check_values(body, limit=LARGEST_OF_TENSORS, end=json_bytes)
    return parse_request(body, json_bytes=json_bytes)


def _note_images(request: Request, inputs: Mapping[str, Array]) -> None:
    """Note how many images a request has, and their sizes, for the log and the metrics."""
    images = inputs.get(signature.INPUT)
    if images is not None and images.dtype == np.object_:
        facts = facts_of(request.scope)
        facts.images, facts.image_bytes = images.size, sum(map(len, images.reshape(-1).tolist()))


def _json_bytes(request: Request) -> int | None:
    """How much of the body is JSON; None for all."""
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, BINARY):
        raise GatewayError(415, f"send JSON (Content-Type: {JSON}), or JSON and raw tensors ({BINARY})")
    text = request.headers.get(JSON_BYTES)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise GatewayError(400, f"{JSON_BYTES} is not a number of bytes")
    return int(text)
