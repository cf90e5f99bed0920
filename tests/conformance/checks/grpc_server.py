"""What gRPC's own tools see of a server."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.conformance.facts import Needs, fact
from tests.conformance.launcher import Launcher
from tests.conformance.server import ServerUnderTest, refusal


def _health(at: ServerUnderTest, service: str) -> str:
    stub: Any = health_pb2_grpc.HealthStub(at.channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    except grpc.RpcError as error:
        return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _services(at: ServerUnderTest) -> list[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(at.channel)
    (answer,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10)
    return [each.name for each in answer.list_services_response.service]


@fact(
    "grpc-health-off",
    "the health service is off unless --enable_grpc_healthcheck_service is given",
    relied="client: UNIMPLEMENTED counts as an answer",
    needs=Needs.REQUESTS,
)
def _off(at: ServerUnderTest) -> None:
    at.expect("UNIMPLEMENTED", _health(at, ""))


@fact(
    "grpc-health-is-not-about-models",
    "the health service says SERVING from the start, for the server, ModelService and PredictionService, also when "
    "nothing is loaded",
    relied="client; readiness probes",
    needs=Needs.OWN,
)
def _not_about_models(own: Launcher) -> None:
    with own.standard("--enable_grpc_healthcheck_service") as at:
        at.expect(["SERVING"] * 3, [_health(at, name) for name in ("", "ModelService", "PredictionService")])
        at.expect("NOT_FOUND", _health(at, "tensorflow.serving.PredictionService"))


@fact(
    "grpc-reflection",
    "reflection (v1alpha) lists PredictionService and ModelService",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _reflection(at: ServerUnderTest) -> None:
    services = _services(at)
    for name in ("PredictionService", "ModelService"):
        at.expect(True, f"tensorflow.serving.{name}" in services, name)


@fact("grpc-profiler", "the profiler service is on", relied="embedded server", needs=Needs.REQUESTS)
def _profiler(at: ServerUnderTest) -> None:
    at.expect(True, "tensorflow.ProfilerService" in _services(at), "it is in the list of reflection")


@fact(
    "grpc-session-service",
    "there is no SessionService",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _session_service(at: ServerUnderTest) -> None:
    # Without serializers it takes and gives bytes.
    channel: Any = at.channel
    call = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    at.expect("UNIMPLEMENTED", refusal(lambda: call(b"", timeout=10)).partition(":")[0])


@fact(
    "grpc-max-threads",
    "slow requests beyond --grpc_max_threads are refused with RESOURCE_EXHAUSTED",
    relied="embedded server",
    needs=Needs.OWN,
)
def _max_threads(own: Launcher) -> None:
    own.folder.add("crowded", 1)
    with own.standard("--grpc_max_threads=4", models=[own.folder.model("crowded")]) as at:
        at.eventually(1, lambda: at.answering("crowded"))
        with own.folder.gate("crowded.gate") as gate:
            request = at.request("crowded", signature="gate", inputs={"path": gate.path})
            pending = [at.prediction.Predict.future(request, timeout=3) for _ in range(12)]
            codes = [each.code().name for each in pending]
        at.expect(True, "RESOURCE_EXHAUSTED" in codes, f"one of {sorted(set(codes))} is RESOURCE_EXHAUSTED")
