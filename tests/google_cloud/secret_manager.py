"""The call of Secret Manager that reads a secret, over gRPC."""

from dataclasses import dataclass, field
from typing import Any

import grpc

HOST = "secretmanager.googleapis.com"
_SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


@dataclass
class SecretManager:
    """The newest version of each secret by its name; None for a secret without versions.

    Roles are on single secrets: the caller has them on all of these but the `forbidden` ones, and none on the project.
    So it is not told whether any other secret exists. `asked` are the resource names of all requests.
    """

    project: str
    secrets: dict[str, str | None] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def access(self, request: Any, context: grpc.ServicerContext) -> Any:
        from google.cloud.secretmanager_v1 import types

        self.asked.append(request.name)
        _, project, _, secret, _, version = request.name.split("/")
        if project != self.project or secret in self.forbidden or secret not in self.secrets:
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission 'secretmanager.versions.access' denied for '{request.name}' (or it may not exist).",
            )
        value = self.secrets[secret]
        if version != "latest" or value is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{request.name}] not found or has no versions.")
        return types.AccessSecretVersionResponse(name=request.name, payload=types.SecretPayload(data=value.encode()))

    def handlers(self) -> "grpc.GenericRpcHandler[Any, Any]":
        from google.cloud.secretmanager_v1 import types

        access = grpc.unary_unary_rpc_method_handler(
            self.access,
            request_deserializer=types.AccessSecretVersionRequest.deserialize,
            response_serializer=types.AccessSecretVersionResponse.serialize,
        )
        return grpc.method_handlers_generic_handler(_SERVICE, {"AccessSecretVersion": access})
