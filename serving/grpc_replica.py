"""A replica over gRPC. Each object has a new connection, never one that was made before."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from serving.apis import (
    error_codes_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_server_config_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from serving.errors import NotServedError, translated
from serving.messages import answer, metadata_request, model_spec, predict_request
from serving.replica import Answer, VersionStatus
from serving.tls import Tls, open_channel
from serving.wire import Array

_States = get_model_status_pb2.ModelVersionStatus.State
# By default, channels to one address share connections in a process. A canary's question must reach the process that
# listens now, so it must not use an older connection.
# A proxy from the environment might send a request to another replica.
_CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # Where a connection is kept, a replica that was down must be reached within a second, not after two minutes.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
)


class GrpcReplica:
    """One replica over gRPC; see `serving.replica.Replica`. No call takes longer than `timeout` seconds.

    Args:
        address: `host:port`.
        timeout: of each call, in seconds.
        tls: how to encrypt the connection; None for plain text.
    """

    def __init__(self, address: str, *, timeout: float, tls: Tls | None = None) -> None:
        self.address = address
        self._timeout = timeout
        # Of a server that accepts connections and says nothing, the connection is closed only after this time, also if
        # the channel was closed before.
        connecting = ("grpc.min_reconnect_backoff_ms", round(timeout * 1000))
        self._channel = open_channel(address, tls=tls, options=[*_CHANNEL_OPTIONS, connecting])
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def status(self, model: str, version: int) -> VersionStatus | None:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec(model, version=version))
        try:
            with translated(self.address):
                reply = self._models.GetModelStatus(request, timeout=self._timeout)
        except NotServedError:
            return None
        return version_status(reply.model_version_status[0])

    def statuses(self, model: str) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec(model))
        try:
            with translated(self.address):
                reply = self._models.GetModelStatus(request, timeout=self._timeout)
        except NotServedError:
            return []
        return [version_status(status) for status in reply.model_version_status]

    def version_behind(self, model: str, label: str | None) -> int | None:
        request = metadata_request(model, label=label)
        try:
            with translated(self.address):
                reply = self._predictions.GetModelMetadata(request, timeout=self._timeout)
        except NotServedError:
            return None
        return int(reply.model_spec.version.value)

    def predict(
        self, model: str, inputs: Mapping[str, Array], *, version: int | None = None, label: str | None = None
    ) -> Answer:
        request = predict_request(model, inputs, version=version, label=label)
        with translated(self.address):
            reply = self._predictions.Predict(request, timeout=self._timeout)
        return answer(reply, address=self.address)

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        request = model_management_pb2.ReloadConfigRequest(config=config)
        with translated(self.address):
            self._models.HandleReloadConfigRequest(request, timeout=self._timeout)


def version_status(status: get_model_status_pb2.ModelVersionStatus) -> VersionStatus:
    """What a server says of one version."""
    bad = status.status.error_code != error_codes_pb2.Code.OK
    return VersionStatus(
        version=int(status.version),
        state=_States.Name(status.state),
        error=(status.status.error_message or error_codes_pb2.Code.Name(status.status.error_code)) if bad else "",
    )
