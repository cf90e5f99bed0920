"""The gRPC border: requests in, the API asked, its errors turned into gRPC statuses."""

import logging
import time
from collections.abc import Callable
from typing import Any

import grpc

from serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
    regression_pb2,
)
from serving.model_server.api import Api
from serving.model_server.metrics import server_metrics
from serving.status import StatusError

MESSAGE_BYTES = 1024
PREDICTION: str = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
MODELS: str = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
SERVICE_NAMES = (PREDICTION, MODELS)

Answer = Callable[[Any, float | None], Any]

logger = logging.getLogger(__name__)


def handlers(api: Api) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """The RPCs this server knows; gRPC itself answers UNIMPLEMENTED to all others."""
    return [
        grpc.method_handlers_generic_handler(
            PREDICTION,
            {
                "Predict": _handler(_counted("Predict", api.predict), predict_pb2.PredictRequest),
                "Classify": _handler(_counted("Classify", api.classify), classification_pb2.ClassificationRequest),
                "Regress": _handler(_counted("Regress", api.regress), regression_pb2.RegressionRequest),
                "MultiInference": _handler(api.multi_inference, inference_pb2.MultiInferenceRequest),
                "GetModelMetadata": _handler(api.metadata, get_model_metadata_pb2.GetModelMetadataRequest),
            },
        ),
        grpc.method_handlers_generic_handler(
            MODELS,
            {
                "GetModelStatus": _handler(api.status, get_model_status_pb2.GetModelStatusRequest),
                "HandleReloadConfigRequest": _handler(api.reload, model_management_pb2.ReloadConfigRequest),
            },
        ),
    ]


def _counted(api: str, answer: Answer) -> Answer:
    """Counted whatever comes of it, timed when it is answered well; upstream does so for three methods only."""

    def counted(request: Any, timeout_seconds: float | None) -> Any:
        name = request.model_spec.name
        start = time.perf_counter()
        try:
            response = answer(request, timeout_seconds)
        except Exception as error:
            code = error.code if isinstance(error, StatusError) else grpc.StatusCode.INTERNAL
            server_metrics.count_request(name, code)
            raise
        server_metrics.time_request(name, api, "GRPC", time.perf_counter() - start)
        server_metrics.count_request(name)
        return response

    return counted


def _handler(answer: Answer, request_type: Any) -> "grpc.RpcMethodHandler[Any, Any]":
    def guarded(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(request, context.time_remaining())
        except StatusError as error:
            context.abort(error.code, shortened(error.message))
        except Exception:
            logger.exception("a request failed in a way nobody foresaw")
            context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has the details")

    return grpc.unary_unary_rpc_method_handler(
        guarded,
        request_deserializer=request_type.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def shortened(message: str) -> str:
    """As much of a message as upstream puts into a gRPC status."""
    encoded = message.encode()
    if len(encoded) <= MESSAGE_BYTES:
        return message
    # A character that would be cut in two is left out: a client's library may refuse half of one.
    return encoded[:MESSAGE_BYTES].decode(errors="ignore") + "...TRUNCATED"
