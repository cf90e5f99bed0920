"""`grpc.health.v1.Health`, as `--enable_grpc_healthcheck_service` gets it from upstream."""

import grpc
from grpc_health.v1 import health, health_pb2

# Upstream's names, without the package, besides "" for the server as a whole.
SERVICES = ("ModelService", "PredictionService")


class Health(health.HealthServicer):
    """Says SERVING from start to drain, whatever the models do: it is about this process, not about them."""

    def __init__(self) -> None:
        super().__init__()
        for service in SERVICES:
            self.set(service, health_pb2.HealthCheckResponse.SERVING)

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> object:  # noqa: N802
        if request.service not in ("", *SERVICES):
            context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return super().Check(request, context)
