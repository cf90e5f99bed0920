"""What this server answers, whatever the transport: protocol messages in, protocol messages out, StatusError else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2
from serving.model_server.core import Core
from serving.model_server.model import Model
from serving.model_server.monitor import Seen, ServableId
from serving.model_server.predict import predict
from serving.model_server.status import InvalidArgumentError, NotFoundError, StatusError

SIGNATURE_DEF = "signature_def"

logger = logging.getLogger(__name__)


class Api:
    """PredictionService and ModelService over one core."""

    def __init__(self, core: Core, *, as_content: bool = False) -> None:
        """Answer with tensor_content where `as_content`, else with value fields."""
        self._core = core
        self._as_content = as_content

    def predict(self, request: Any, timeout_seconds: float | None = None) -> Any:
        with self._model(_spec_of(request)) as (servable_id, model):
            return predict(
                model,
                request,
                version=servable_id.version,
                as_content=self._as_content,
                timeout_seconds=timeout_seconds,
            )

    def metadata(self, request: Any, timeout_seconds: float | None = None) -> Any:  # noqa: ARG002
        spec = _spec_of(request)
        if not request.metadata_field:
            raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._model(spec) as (servable_id, model):
            for name, signature in model.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response.model_spec.name = servable_id.name
            response.model_spec.version.value = servable_id.version
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    def status(self, request: Any, timeout_seconds: float | None = None) -> Any:  # noqa: ARG002
        """States of the version asked for, or of all ever seen; a label in the request counts for nothing."""
        spec = _spec_of(request)
        response = get_model_status_pb2.GetModelStatusResponse()
        if spec.WhichOneof("version_choice") == "version":
            version = spec.version.value
            seen = self._core.monitor.state(ServableId(spec.name, version))
            if seen is None:
                raise NotFoundError(f"Could not find version {version} of model {spec.name}")
            _add_status(response, version, seen)
            return response
        versions = self._core.monitor.versions(spec.name)
        if not versions:
            raise NotFoundError(f"Could not find any versions of model {spec.name}")
        for version, seen in versions.items():
            _add_status(response, version, seen)
        return response

    def reload(self, request: Any, timeout_seconds: float | None = None) -> Any:  # noqa: ARG002
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidArgumentError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest."
                " Only ModelConfigList is currently supported"
            )
        names = ", ".join(model.name for model in request.config.model_config_list.config)
        logger.info("reload requested with models: %s", names or "none")
        try:
            self._core.reload(request.config)
        except StatusError as error:
            logger.error("reload refused: %s", error)
            raise
        return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})

    @contextmanager
    def _model(self, spec: Any) -> Iterator[tuple[ServableId, Model]]:
        with self._core.servable(spec) as (servable_id, servable):
            yield servable_id, cast(Model, servable)


def _spec_of(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return request.model_spec


def _add_status(response: Any, version: int, seen: Seen) -> None:
    entry = response.model_version_status.add(version=version, state=int(seen.state))
    entry.status.error_code = seen.error.number if seen.error else 0
    entry.status.error_message = seen.error.message if seen.error else ""
