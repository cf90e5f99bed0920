"""The gRPC border: requests in, the API asked, its errors turned into gRPC statuses."""

import logging
from collections.abc import Callable
from typing import Any

import grpc

from serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2, predict_pb2
from serving.model_server.api import Api
from serving.model_server.status import StatusError

MESSAGE_LIMIT = 1024

logger = logging.getLogger(__name__)


def handlers(api: Api) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """The RPCs this server knows; gRPC itself answers UNIMPLEMENTED to all others."""
    return [
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService",
            {
                "Predict": _handler(api.predict, predict_pb2.PredictRequest),
                "GetModelMetadata": _handler(api.metadata, get_model_metadata_pb2.GetModelMetadataRequest),
            },
        ),
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.ModelService",
            {
                "GetModelStatus": _handler(api.status, get_model_status_pb2.GetModelStatusRequest),
                "HandleReloadConfigRequest": _handler(api.reload, model_management_pb2.ReloadConfigRequest),
            },
        ),
    ]


def _handler(answer: Callable[[Any, float | None], Any], request_type: Any) -> "grpc.RpcMethodHandler[Any, Any]":
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
    return message if len(message) <= MESSAGE_LIMIT else f"{message[:MESSAGE_LIMIT]}...TRUNCATED"
