"""TensorFlow Serving's REST API: predict, status and metadata, with the bodies and the words of the model servers.

The model servers are asked by gRPC, so the fleet, its label and its time limits hold. A request that names no version
and no label asks for the label of the model.
"""

from collections.abc import Awaitable
from functools import partial

import grpc
from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.client.deadline import Deadline
from serving.errors import NotServedError, RefusedError, ServerFaultError
from serving.gateway.errors import GatewayError
from serving.gateway.models.models import Model
from serving.gateway.models.target import Target
from serving.gateway.observation.facts import facts_of
from serving.gateway.offload import in_thread_if_large
from serving.gateway.routes.openapi import json_body, path_parameters
from serving.gateway.routes.request import deadline_of, models_of, until_gone
from serving.gateway.settings import Limits, Settings
from serving.gateway.tensorflow_rest import metadata_and_status
from serving.gateway.tensorflow_rest import predict as prediction
from serving.gateway.uploads.body import read_body
from serving.rest_json.gzip_body import inflated
from serving.rest_json.http_status import HTTP_STATUS
from serving.rest_json.responses import error_body
from serving.rest_json.routes import Route, find_route
from serving.status import StatusError

JSON = "application/json"
# Of a body that came compressed: a few kilobytes may stand for any size.
LARGEST_INFLATED = 16 * 2**20

router = APIRouter(tags=["TensorFlow Serving"])

_MODEL = path_parameters("model")
_VERSION = path_parameters("model", "version")
_LABEL = path_parameters("model", "label")
_BODY = json_body(
    {
        "type": "object",
        "properties": {
            "signature_name": {"type": "string"},
            "instances": {"type": "array", "items": {}, "minItems": 1},
            "inputs": {},
        },
    }
)


@router.post("/v1/models/{model}:predict", openapi_extra=_MODEL | _BODY, summary="Predict")
@router.post(
    "/v1/models/{model}/versions/{version}:predict", openapi_extra=_VERSION | _BODY, summary="Predict, by a version"
)
@router.post("/v1/models/{model}/labels/{label}:predict", openapi_extra=_LABEL | _BODY, summary="Predict, by a label")
async def predict(request: Request) -> Response:
    """Send `{"instances": [...]}` or `{"inputs": {...}}`, as TensorFlow Serving's REST API takes them."""
    route, model = _route_and_model(request)
    settings: Settings = request.app.state.settings
    body = await read_body(request, settings.limits)
    if "gzip" in request.headers.get("content-encoding", ""):
        largest = min(settings.limits.body_bytes, LARGEST_INFLATED)
        body = await in_thread_if_large(LARGEST_INFLATED, partial(inflated, body, largest=largest))
    work = _predict(model, route, body, limits=settings.limits, deadline=deadline_of(request))
    return await _with_server_errors(until_gone(request, work), request, route)


@router.get("/v1/models/{model}", openapi_extra=_MODEL, summary="The versions of a model and their states")
@router.get("/v1/models/{model}/versions/{version}", openapi_extra=_VERSION, summary="The state of a version")
@router.get("/v1/models/{model}/labels/{label}", openapi_extra=_LABEL, summary="The same as without the label")
async def status(request: Request) -> Response:
    """What one replica says; `/fleet` has all."""
    route, model = _route_and_model(request)
    return await _with_server_errors(_status(model, route), request, route)


@router.get("/v1/models/{model}/metadata", openapi_extra=_MODEL, summary="Signatures")
@router.get(
    "/v1/models/{model}/versions/{version}/metadata", openapi_extra=_VERSION, summary="Signatures, by a version"
)
@router.get(
    "/v1/models/{model}/labels/{label}/metadata",
    openapi_extra=_LABEL,
    summary="Signatures, by a label",
)
async def metadata(request: Request) -> Response:
    """The inputs and outputs of each signature, with their types and shapes."""
    route, model = _route_and_model(request)
    return await _with_server_errors(_metadata(model, route), request, route)


def _route_and_model(request: Request) -> tuple[Route, Model]:
    """What the path asks for, by the rules of the server."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    route = find_route(request.method, path.partition(b"?")[0].decode("latin-1"))
    if not route.found:
        raise GatewayError(404, "the path is not one of TensorFlow Serving's REST API; /docs lists them")
    return route, models_of(request).named(route.model)


async def _predict(model: Model, route: Route, body: bytes, *, limits: Limits, deadline: Deadline) -> Response:
    target = _target(model, route)
    content, answer = await prediction.predict(model, target, body, limits=limits, deadline=deadline)
    headers = {"X-Model-Version": str(answer.version), "X-Replica": answer.address}
    return Response(content, media_type=JSON, headers=headers)


async def _status(model: Model, route: Route) -> Response:
    return Response(await metadata_and_status.status(model, _target(model, route).version), media_type=JSON)


async def _metadata(model: Model, route: Route) -> Response:
    return Response(await metadata_and_status.metadata(model, _target(model, route)), media_type=JSON)


def _target(model: Model, route: Route) -> Target:
    """What a path asks for.

    Raises:
        InvalidArgumentError: the version is no int64. The server says so without a body, and nothing here does.
    """
    spec = route.spec()
    if route.version:
        return Target(int(spec.version.value), None)
    return Target(None, route.label or model.label)


async def _with_server_errors(work: Awaitable[Response], request: Request, route: Route) -> Response:
    """The answer. An error of a server, or one that it would have answered, has its status and its message."""
    try:
        return await work
    except StatusError as error:
        return _server_error(request, error.code, error.message)
    except GatewayError as error:
        cause = error.__cause__
        is_own_choice = isinstance(cause, NotServedError) and not route.version and not route.label
        if not isinstance(cause, NotServedError | RefusedError | ServerFaultError) or is_own_choice:
            raise
        if not isinstance(cause.__cause__, grpc.RpcError):
            raise
        return _server_error(request, cause.__cause__.code(), cause.__cause__.details() or "")


def _server_error(request: Request, code: grpc.StatusCode, message: str) -> Response:
    facts_of(request.scope).error = message
    return Response(error_body(message), HTTP_STATUS[code], media_type=JSON)
