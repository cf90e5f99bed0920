"""Every answer that is not 200 has the body `{"error": "a sentence"}`; here an error becomes such an answer.

Routes raise `GatewayError`, or let an error of the model servers pass: only this module says which status it has.
"""

import math
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from serving.errors import (
    CircuitOpenError,
    DiscoveryError,
    NotServedError,
    OverloadedError,
    RefusedError,
    ServingError,
    TooSlowError,
    UnreachableError,
)
from serving.gateway.observation.facts import facts_of

# How long a client should wait before it asks again when nothing better is known, in seconds.
RETRY_SECONDS = 1.0


class GatewayError(Exception):
    """A request is answered with this status and this sentence.

    Args:
        status: of HTTP, 400 to 599.
        message: what happened and what to do, without anything that a client must not see.
        retry_after: in how many seconds it is worth asking again; None if it is not.
        headers: further headers of the answer.
        shed: the reason, of `metrics.SHED_REASONS`, of a request that is refused only to protect the fleet.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
        shed: str | None = None,
    ) -> None:
        super().__init__(message)
        self.shed = shed
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


def of_serving(error: ServingError | DiscoveryError, model: str, *, version: int | None = None) -> GatewayError:
    """The answer for a request that the model servers did not answer.

    What they said is in the access log, not in the answer, if the error that is raised has theirs as its cause.
    """
    if isinstance(error, DiscoveryError):
        return GatewayError(503, f"no replica of {model} is known yet", retry_after=RETRY_SECONDS)
    if isinstance(error, UnreachableError):
        return _unreachable(error, model)
    if isinstance(error, NotServedError):
        return _not_served(model, version)
    if isinstance(error, RefusedError):
        return GatewayError(400, f"the model server refused the request: {error.message}")
    return GatewayError(502, f"a replica of {model} failed on the request; its log says why")


def _unreachable(error: UnreachableError, model: str) -> GatewayError:
    if isinstance(error, TooSlowError):
        return GatewayError(504, f"{model} did not answer in time", retry_after=RETRY_SECONDS)
    if isinstance(error, OverloadedError):
        text = f"the servers of {model} have too many requests"
        return GatewayError(503, text, retry_after=RETRY_SECONDS, shed="queue")
    text = f"no replica of {model} can be reached now"
    if isinstance(error, CircuitOpenError):
        return GatewayError(503, text, retry_after=error.seconds, shed="breaker")
    return GatewayError(503, text, retry_after=RETRY_SECONDS)


def _not_served(model: str, version: int | None) -> GatewayError:
    if version is not None:
        return GatewayError(404, f"version {version} of {model} is not loaded")
    return GatewayError(503, f"no version of {model} serves yet", retry_after=RETRY_SECONDS)


def add_handlers(app: FastAPI) -> None:
    """Answer every error that a route raises on purpose. `Observation` answers all others, with 500."""
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)


def note(request: Request, error: GatewayError) -> None:
    """For the access log and the metrics. A route that answers such an error itself calls this."""
    facts = facts_of(request.scope)
    facts.error, facts.shed = error.message, error.shed
    if isinstance(error.__cause__, ServingError | DiscoveryError):
        facts.cause = str(error.__cause__)


def answer(error: GatewayError) -> Response:
    return JSONResponse({"error": error.message}, error.status, error.headers)


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    note(request, error)
    return answer(error)


async def _http_exception(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown path, another method."""
    assert isinstance(error, HTTPException)
    reason = {404: f"there is no {request.url.path!r} here; /docs lists what there is"}.get(error.status_code)
    text = reason or HTTPStatus(error.status_code).phrase.lower()
    return JSONResponse({"error": text}, error.status_code, error.headers)


async def _wrong_parameter(_: Request, error: Exception) -> Response:
    """A parameter of the address that is not what the route takes."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return answer(GatewayError(400, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}"))
