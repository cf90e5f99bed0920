"""What single replicas say of a model: the versions they have loaded, and which of them answers."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc.aio

from serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from serving.client.options import channel_options
from serving.errors import NotServedError, ServingError, translated
from serving.grpc_replica import version_status
from serving.messages import model_spec
from serving.replica import VersionStatus
from serving.tls import Tls, open_aio_channel

# A replica that answers requests answers this in milliseconds.
TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class ReplicaStatus:
    """The answer of one replica.

    Attributes:
        versions: all that it has seen since it started, the highest first.
        serves: the version that answers the label; None if none does.
        error: why it gave no answer; empty if it gave one.
    """

    versions: Sequence[VersionStatus] = ()
    serves: int | None = None
    error: str = ""


class StatusClient:
    """Asks the replicas of one model. Belongs to one event loop.

    The connection to a replica is kept for the next question: with hundreds of replicas, new ones for each refresh
    would take time from the requests of users.
    """

    def __init__(self, model: str, *, label: str | None, tls: Tls | None) -> None:
        self._model = model
        self._label = label
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def ask(self, address: str) -> ReplicaStatus:
        """Never raises a ServingError; takes at most TIMEOUT_SECONDS."""
        channel = self._channels.get(address)
        if channel is None:
            options = channel_options(health_check=False)
            channel = self._channels[address] = open_aio_channel(address, tls=self._tls, options=options)
        try:
            versions, serves = await asyncio.gather(self._versions(channel, address), self._serves(channel, address))
        except ServingError as error:
            return ReplicaStatus(error=error.message)
        return ReplicaStatus(versions, serves)

    async def keep(self, addresses: Collection[str]) -> None:
        """Close the connections to all others."""
        gone = [self._channels.pop(address) for address in list(self._channels) if address not in addresses]
        for channel in gone:
            await channel.close(grace=None)

    async def _versions(self, channel: grpc.aio.Channel, address: str) -> Sequence[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec(self._model))
        reply: Any = None
        with suppress(NotServedError), translated(address):
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            reply = await stub.GetModelStatus(request, timeout=TIMEOUT_SECONDS)
        return [version_status(each) for each in reply.model_version_status] if reply else []

    async def _serves(self, channel: grpc.aio.Channel, address: str) -> int | None:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_spec(self._model, label=self._label), metadata_field=["signature_def"]
        )
        reply: Any = None
        with suppress(NotServedError), translated(address):
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            reply = await stub.GetModelMetadata(request, timeout=TIMEOUT_SECONDS)
        return int(reply.model_spec.version.value) if reply else None
