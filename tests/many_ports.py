"""Model servers on many ports of one process, and ports that never answer.

    python -m tests.many_ports COUNT MILLISECONDS

prints the ports, and serves until its standard input ends. A prediction takes so many milliseconds. It is a process of
its own, so that a test can count the threads and files of the process that asks.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc

from serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc
from serving.signature import INPUT
from serving.wire import from_proto, to_proto
from tests.fleet import Classifier, outputs_for


class _Status(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """Every model has v1 in memory."""

    def GetModelStatus(  # noqa: N802 - the name in the service
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        reply = get_model_status_pb2.GetModelStatusResponse()
        status = reply.model_version_status.add()
        status.version, status.state = 1, get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
        return reply


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """The classifier of `tests.fleet`, which takes a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def Predict(  # noqa: N802 - the name in the service
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        time.sleep(self._seconds)
        images = from_proto(request.inputs[INPUT]).tolist()
        reply = predict_pb2.PredictResponse()
        reply.model_spec.version.value = 1
        for name, array in outputs_for([Classifier().answer(image) for image in images]).items():
            reply.outputs[name].CopyFrom(to_proto(array))
        return reply


@contextmanager
def many_servers(count: int, *, milliseconds: float = 0.0) -> Iterator[list[str]]:
    """The addresses of so many servers, which run in another process until the block ends."""
    command = [sys.executable, "-m", "tests.many_ports", str(count), str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield [f"127.0.0.1:{port}" for port in process.stdout.readline().split()]
        process.communicate()


@contextmanager
def black_holes(count: int) -> Iterator[list[str]]:
    """Addresses that take connections, and never answer."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def _main() -> None:
    server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Status(), server)
    predictions = _Predictions(float(sys.argv[2]) / 1000)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(predictions, server)
    ports = [server.add_insecure_port("127.0.0.1:0") for _ in range(int(sys.argv[1]))]
    server.start()
    sys.stdout.write(" ".join(map(str, ports)) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    _main()
