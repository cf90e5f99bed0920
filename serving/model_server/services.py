"""The gRPC border: requests in, the core asked, its errors turned into gRPC statuses."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import grpc

from serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2, predict_pb2
from serving.model_server.core import Core
from serving.model_server.monitor import Seen, ServableId
from serving.model_server.predict import Model, predict
from serving.model_server.status import InvalidArgumentError, NotFoundError, StatusError

MESSAGE_LIMIT = 1024
SIGNATURE_DEF = "signature_def"

logger = logging.getLogger(__name__)


def handlers(core: Core, *, as_content: bool) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """The RPCs this server knows; gRPC itself answers UNIMPLEMENTED to all others."""
    answer_predict = partial(_predict, core, as_content=as_content)
    return [
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService",
            {
                "Predict": _handler(answer_predict, predict_pb2.PredictRequest),
                "GetModelMetadata": _handler(partial(_metadata, core), get_model_metadata_pb2.GetModelMetadataRequest),
            },
        ),
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.ModelService",
            {
                "GetModelStatus": _handler(partial(_status, core), get_model_status_pb2.GetModelStatusRequest),
                "HandleReloadConfigRequest": _handler(partial(_reload, core), model_management_pb2.ReloadConfigRequest),
            },
        ),
    ]


def _handler(answer: Callable[[Any], Any], request_type: Any) -> "grpc.RpcMethodHandler[Any, Any]":
    def guarded(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(request)
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


def _spec_of(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return request.model_spec


def _predict(core: Core, request: Any, *, as_content: bool) -> Any:
    with core.servable(_spec_of(request)) as (servable_id, model):
        return predict(cast(Model, model), request, version=servable_id.version, as_content=as_content)


def _metadata(core: Core, request: Any) -> Any:
    spec = _spec_of(request)
    if not request.metadata_field:
        raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise InvalidArgumentError(f"Metadata field {field} is not supported")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with core.servable(spec) as (servable_id, model):
        for name, signature in cast(Model, model).signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.name = servable_id.name
        response.model_spec.version.value = servable_id.version
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def _status(core: Core, request: Any) -> Any:
    """States of the version asked for, or of all ever seen; a label in the request counts for nothing, as upstream."""
    spec = _spec_of(request)
    response = get_model_status_pb2.GetModelStatusResponse()
    if spec.WhichOneof("version_choice") == "version":
        version = spec.version.value
        seen = core.monitor.state(ServableId(spec.name, version))
        if seen is None:
            raise NotFoundError(f"Could not find version {version} of model {spec.name}")
        _add_status(response, version, seen)
        return response
    versions = core.monitor.versions(spec.name)
    if not versions:
        raise NotFoundError(f"Could not find any versions of model {spec.name}")
    for version, seen in versions.items():
        _add_status(response, version, seen)
    return response


def _add_status(response: Any, version: int, seen: Seen) -> None:
    entry = response.model_version_status.add(version=version, state=int(seen.state))
    entry.status.error_code = seen.error.number if seen.error else 0
    entry.status.error_message = seen.error.message if seen.error else ""


def _reload(core: Core, request: Any) -> Any:
    if request.config.WhichOneof("config") != "model_config_list":
        raise InvalidArgumentError(
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported"
        )
    names = ", ".join(model.name for model in request.config.model_config_list.config)
    logger.info("reload requested with models: %s", names or "none")
    try:
        core.reload(request.config)
    except StatusError as error:
        logger.error("reload refused: %s", error)
        raise
    return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})
