"""One HTTP request in, one HTTP answer out, whatever carries them; counted and timed as upstream counts REST."""

import logging
import re
import time
from typing import Any

from grpc import StatusCode

from serving.apis import (
    SIGNATURE_DEF,
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)
from serving.model_server.api import Api
from serving.model_server.metrics import server_metrics
from serving.model_server.rest import example_requests
from serving.model_server.rest.http_messages import (
    JSON,
    TEXT,
    UNTYPED,
    Answer,
    Request,
    error_page,
    uncompressed,
)
from serving.rest_json import responses, routes
from serving.rest_json.http_status import HTTP_STATUS
from serving.rest_json.predict_request import fill_predict_request
from serving.rest_json.routes import Route
from serving.rest_json.status_and_metadata import metadata_body, status_body
from serving.status import InvalidArgumentError, StatusError

CORS_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}

logger = logging.getLogger(__name__)


class Handler:
    """The REST API over `api`, and the page of metrics."""

    def __init__(
        self, api: Api, *, timeout_seconds: float | None = None, metrics_path: str | None = None, cors: bool = False
    ) -> None:
        """Give a model `timeout_seconds` for a request, and Prometheus its page at `metrics_path`.

        With `cors`, answers have the headers by which pages of other sites may use them.
        """
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._metrics_path = metrics_path
        self._cors = cors

    def answer(self, request: Request) -> Answer:
        """Whatever a client sends has an answer."""
        if request.method not in routes.METHODS:
            return error_page(501)
        if not routes.is_target(request.target):
            return error_page(400)
        if request.target.partition("?")[0] == self._metrics_path:
            return self._metrics_page(request.target)
        if not routes.is_api(request.target):
            return error_page(404)
        return self._counted(request)

    def _metrics_page(self, target: str) -> Answer:
        if target != self._metrics_path:
            words = f"Unexpected path: {target}. Should be {self._metrics_path}"
            return Answer(status=400, content_type=TEXT, body=words.encode())
        return Answer(status=200, content_type=TEXT, body=server_metrics.render().encode())

    def _counted(self, request: Request) -> Answer:
        start = time.perf_counter()
        route = routes.find_route(request.method, request.target)
        if request.method == "OPTIONS":
            code, body, content_type = _preflight(request), b"", UNTYPED
        else:
            (code, body), content_type = self._outcome(request, route), JSON
        if code is StatusCode.OK:
            server_metrics.time_request(route.model, route.verb, "REST", time.perf_counter() - start)
        server_metrics.count_request(route.model, code)
        headers = CORS_HEADERS if self._cors else {}
        return Answer(status=HTTP_STATUS[code], content_type=content_type, body=body, headers=headers)

    def _outcome(self, request: Request, route: Route) -> tuple[StatusCode, bytes]:
        try:
            spec = route.spec()
        except StatusError as error:
            # Upstream's answer to a version that is no int64 has no body.
            return error.code, b""
        try:
            return StatusCode.OK, self._body(request, route, spec)
        except StatusError as error:
            return error.code, responses.error_body(error.message)
        except Exception:
            logger.exception("a request failed in a way nobody foresaw")
            return StatusCode.INTERNAL, responses.error_body("internal error; the server's log has the details")

    def _body(self, request: Request, route: Route, spec: Any) -> bytes:
        if not route.found:
            raise InvalidArgumentError(f"Malformed request: {request.method} {request.target}")
        match route.verb:
            case routes.PREDICT:
                return self._predict(spec, uncompressed(request))
            case routes.CLASSIFY:
                return self._classify(spec, uncompressed(request))
            case routes.REGRESS:
                return self._regress(spec, uncompressed(request))
        if not route.model:
            raise InvalidArgumentError("Missing model name in request.")
        return self._metadata(spec) if route.topic == routes.METADATA else self._status(spec)

    def _predict(self, spec: Any, body: bytes) -> bytes:
        request = predict_pb2.PredictRequest(model_spec=spec)
        form = fill_predict_request(body, request, lambda signature: self._api.inputs_of(spec, signature))
        return responses.predict_response(self._api.predict(request, self._timeout_seconds).outputs, form)

    def _classify(self, spec: Any, body: bytes) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        example_requests.fill_request(body, request)
        return responses.classification_response(self._api.classify(request, self._timeout_seconds).result)

    def _regress(self, spec: Any, body: bytes) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        example_requests.fill_request(body, request)
        return responses.regression_response(self._api.regress(request, self._timeout_seconds).result)

    def _status(self, spec: Any) -> bytes:
        return status_body(self._api.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec)))

    def _metadata(self, spec: Any) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
        return metadata_body(self._api.metadata(request))


def _preflight(request: Request) -> StatusCode:
    """A browser asks whether it may; upstream says yes even without --rest_api_enable_cors_support."""
    from_browser = re.search("https?://", request.headers.get("origin", ""))
    return StatusCode.OK if from_browser else StatusCode.FAILED_PRECONDITION
