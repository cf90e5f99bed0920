"""One pull subscription of Pub/Sub, over gRPC: a message that is not acknowledged comes again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import grpc

HOST = "pubsub.googleapis.com"
_SERVICE = "google.pubsub.v1.Subscriber"
# How long a request is held while there is no message.
_HELD_SECONDS = 30.0


@dataclass
class Subscription:
    """The subscription `name`, its full path.

    `pulls` has the `return_immediately` of each request, `acknowledged` the ids of each acknowledgement.
    """

    name: str
    pulls: list[bool] = field(default_factory=list)
    acknowledged: list[list[str]] = field(default_factory=list)
    _waiting: dict[str, dict[str, str]] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)

    def publish(self, *messages: dict[str, str]) -> None:
        """Messages by their attributes, all at once."""
        with self._changed:
            for attributes in messages:
                self._waiting[f"ack-{len(self._waiting)}-{attributes}"] = attributes
            self._changed.notify_all()

    def wait_for_pulls(self, count: int) -> None:
        """Return when so many requests have come, or after a minute."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.pulls) >= count, 60)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _pull(self, request: Any, context: grpc.ServicerContext) -> Any:
        from google.pubsub_v1 import types  # noqa: PLC0415

        self._require_mine(request, context)
        with self._changed:
            self.pulls.append(request.return_immediately)
            self._changed.notify_all()
            if not request.return_immediately:
                self._changed.wait_for(lambda: bool(self._waiting), _HELD_SECONDS)
            found = list(self._waiting.items())[: request.max_messages]
        return types.PullResponse(
            received_messages=[
                types.ReceivedMessage(ack_id=ack, message=types.PubsubMessage(attributes=attributes, message_id=ack))
                for ack, attributes in found
            ]
        )

    def _acknowledge(self, request: Any, context: grpc.ServicerContext) -> Any:
        from google.protobuf.empty_pb2 import Empty  # noqa: PLC0415

        self._require_mine(request, context)
        ids: Sequence[str] = request.ack_ids
        with self._changed:
            self.acknowledged.append(list(ids))
            for each in ids:
                self._waiting.pop(each, None)
        return Empty()

    def _require_mine(self, request: Any, context: grpc.ServicerContext) -> None:
        if request.subscription != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={request.subscription}).")

    def handlers(self) -> "grpc.GenericRpcHandler[Any, Any]":
        from google.protobuf.empty_pb2 import Empty  # noqa: PLC0415
        from google.pubsub_v1 import types  # noqa: PLC0415

        pull = grpc.unary_unary_rpc_method_handler(
            self._pull,
            request_deserializer=types.PullRequest.deserialize,
            response_serializer=types.PullResponse.serialize,
        )
        acknowledge = grpc.unary_unary_rpc_method_handler(
            self._acknowledge,
            request_deserializer=types.AcknowledgeRequest.deserialize,
            response_serializer=Empty.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(_SERVICE, {"Pull": pull, "Acknowledge": acknowledge})
