"""What gRPC's own tools see of a server."""

import os
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.apis import get_model_status_pb2, model_service_pb2_grpc, regression_pb2
from tests.certificates import Authority
from tests.conformance.checks.start import ssl_config
from tests.conformance.facts import Needs, NotRunError, fact
from tests.conformance.launcher import Launcher
from tests.conformance.server import ServerUnderTest, refusal
from tests.serving.inference.echo import example, listed


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
    "grpc-tls",
    "with --ssl_config_file the port speaks TLS only, and asks clients for a certificate if `client_verify` is set",
    relied="fleets: encrypted connections",
    needs=Needs.OWN,
)
def _tls(own: Launcher) -> None:
    authority = Authority()
    text = ssl_config(authority, ca=authority.pem) + "\nclient_verify: true\n"
    file = own.folder.write("mutual.config", text)
    empty = own.folder.write("empty.config", "model_config_list {}")
    with own.started(f"--model_config_file={empty}", f"--ssl_config_file={file}") as at:
        at.eventually(True, lambda: "Running gRPC ModelServer" in at.log)
        key, certificate = authority.issue("client")
        trusted = grpc.ssl_channel_credentials(authority.pem, key, certificate)
        stranger = grpc.ssl_channel_credentials(authority.pem)
        at.expect("NOT_FOUND", _over(at.address, trusted))
        at.expect("UNAVAILABLE", _over(at.address, stranger), "a client without a certificate")
        at.expect(False, at.answers(), "in plain text")


def _over(address: str, credentials: grpc.ChannelCredentials) -> str:
    """The code with which a status request over this connection ends."""
    with grpc.secure_channel(address, credentials) as channel:
        stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "nobody"})
        return refusal(lambda: stub.GetModelStatus(request, timeout=10)).partition(":")[0]


@fact(
    "grpc-socket",
    "with --grpc_socket_path the same services answer on a UNIX socket",
    relied="embedded server",
    needs=Needs.OWN,
)
def _socket(own: Launcher) -> None:
    with own.standard(f"--grpc_socket_path={own.folder.there}/grpc.socket") as at:
        if not os.access(at.folder.here / "grpc.socket", os.W_OK):
            raise NotRunError("the server's socket belongs to another user; run the checks as that user")
        with grpc.insecure_channel(f"unix:{at.folder.here}/grpc.socket") as channel:
            stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
            request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "nobody"})
            answer = refusal(lambda: stub.GetModelStatus(request, timeout=10))
        at.expect("NOT_FOUND: Could not find any versions of model nobody", answer)


@fact(
    "grpc-method-names",
    "with --enable_signature_method_name_check a signature answers only the method that it was exported for",
    relied="embedded server",
    needs=Needs.OWN,
)
def _method_names(own: Launcher) -> None:
    own.folder.add("checked", 1)
    with own.standard("--enable_signature_method_name_check", models=[own.folder.model("checked")]) as at:
        at.eventually(1, lambda: at.answering("checked"))
        request = regression_pb2.RegressionRequest(
            model_spec={"name": "checked", "signature_name": "classify"}, input=listed(example(x=2.0))
        )
        at.expect_in(
            "Expected regression signature method_name to be tensorflow/serving/regress",
            refusal(lambda: at.prediction.Regress(request, timeout=10)),
        )


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
