"""What this server answers, whatever the transport: protocol messages in, protocol messages out, StatusError else."""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast

from serving.apis import (
    SIGNATURE_DEF,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
)
from serving.inference.classify import classify
from serving.inference.model import DEFAULT_SIGNATURE, Model
from serving.inference.multi_inference import multi_inference
from serving.inference.predict import predict
from serving.inference.regress import regress
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.servable_state_monitor import ServableState
from serving.model_server.lifecycle.server_core import ServerCore
from serving.model_server.metrics import server_metrics
from serving.model_server.metrics.metered_model import MeteredModel
from serving.status import DeadlineExceededError, InvalidArgumentError, NotFoundError, StatusError

logger = logging.getLogger(__name__)


class Api:
    """PredictionService and ModelService over one core."""

    def __init__(self, core: ServerCore, *, as_content: bool = False, check_method_names: bool = False) -> None:
        """Answer with tensor_content where `as_content`, else with value fields.

        Where `check_method_names`, a signature must have been exported for the method it is asked with.
        """
        self._core = core
        self._as_content = as_content
        self._check_method_names = check_method_names

    def predict(self, request: Any, timeout_seconds: float | None = None) -> Any:
        with self._model(_spec_of(request)) as (servable_id, model):
            return predict(
                MeteredModel(model, request, "Predict"),
                request,
                version=servable_id.version,
                as_content=self._as_content,
                check_method_name=self._check_method_names,
                timeout_seconds=timeout_seconds,
            )

    def classify(self, request: Any, timeout_seconds: float | None = None) -> Any:
        with self._model(_spec_of(request)) as (servable_id, model):
            return classify(
                MeteredModel(model, request, "Classify"),
                request,
                version=servable_id.version,
                check_method_name=self._check_method_names,
                timeout_seconds=timeout_seconds,
            )

    def regress(self, request: Any, timeout_seconds: float | None = None) -> Any:
        with self._model(_spec_of(request)) as (servable_id, model):
            return regress(
                MeteredModel(model, request, "Regress"),
                request,
                version=servable_id.version,
                check_method_name=self._check_method_names,
                timeout_seconds=timeout_seconds,
            )

    def multi_inference(self, request: Any, timeout_seconds: float | None = None) -> Any:
        """All tasks are answered by the version the first one asks for."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        with self._model(spec) as (servable_id, model):
            return multi_inference(
                MeteredModel(model, request, "MultiInference"),
                request,
                version=servable_id.version,
                check_method_name=self._check_method_names,
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

    def inputs_of(self, spec: Any, signature_name: str) -> Mapping[str, Any]:
        """Alias -> TensorInfo of the inputs of a signature, the default one when it has no name."""
        name = signature_name or DEFAULT_SIGNATURE
        with self._model(spec) as (_, model):
            if name not in model.signatures:
                raise InvalidArgumentError(f'Serving signature name: "{name}" not found in signature def')
            inputs: Mapping[str, Any] = model.signatures[name].inputs
            return inputs

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

    def reload(self, request: Any, timeout_seconds: float | None = None) -> Any:
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidArgumentError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest."
                " Only ModelConfigList is currently supported"
            )
        names = ", ".join(model.name for model in request.config.model_config_list.config)
        logger.info("reload requested with models: %s", names or "none")
        # How much each metric asked for grew meanwhile, by anybody's doing.
        before = {name: server_metrics.value(name) for name in request.metric_names}
        try:
            self._reload(request.config, timeout_seconds)
        except StatusError as error:
            logger.error("reload refused: %s", error)
            raise
        response = model_management_pb2.ReloadConfigResponse(status={"error_code": 0})
        for name, value in before.items():
            response.metric.add(name=name, int64_value_increase=server_metrics.value(name) - value)
        return response

    def _reload(self, config: Any, timeout_seconds: float | None) -> None:
        """Apply it on a thread of its own, as the thread of a client that stops waiting is needed for others.

        The config is applied all the same, and until it is no other has its turn, as upstream.
        """
        applied: Future[None] = Future()

        def apply() -> None:
            try:
                self._core.reload(config)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the client
                applied.set_exception(error)
            else:
                applied.set_result(None)

        threading.Thread(target=apply, name="reload", daemon=True).start()
        try:
            applied.result(timeout=None if timeout_seconds is None else min(timeout_seconds, threading.TIMEOUT_MAX))
        except TimeoutError as error:
            raise DeadlineExceededError("the config is still being applied, and will be") from error

    @contextmanager
    def _model(self, spec: Any) -> Iterator[tuple[ServableId, Model]]:
        with self._core.servable(spec) as (servable_id, servable):
            yield servable_id, cast(Model, servable)


def _spec_of(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return request.model_spec


def _add_status(response: Any, version: int, seen: ServableState) -> None:
    entry = response.model_version_status.add(version=version, state=int(seen.state))
    entry.status.error_code = seen.error.number if seen.error else 0
    entry.status.error_message = seen.error.message if seen.error else ""
