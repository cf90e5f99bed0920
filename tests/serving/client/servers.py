"""Small gRPC servers with the faults that a real one has only by chance.

As a program it is one that can be killed, and stopped by a signal:

    python -m tests.serving.client.servers PORT
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving.apis import predict_pb2, prediction_service_pb2_grpc
from serving.wire import to_proto
from tests.ports import free_port

Handle = Callable[[Any, grpc.ServicerContext], Any]


def doubled(request: Any, _: grpc.ServicerContext) -> Any:
    """A model that doubles `x`; it has version 1."""
    values = np.frombuffer(request.inputs["x"].tensor_content, np.float32)
    reply = predict_pb2.PredictResponse(outputs={"y": to_proto(2 * values)})
    reply.model_spec.version.value = 1
    return reply


class SmallServer(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """A server whose answers are a function's; it counts the requests that reach it.

    Args:
        handle: answers a request.
        with_health: whether it has a health service.
        credentials: for TLS.
        port: where it listens.
    """

    def __init__(
        self,
        handle: Handle = doubled,
        *,
        with_health: bool = False,
        credentials: grpc.ServerCredentials | None = None,
        port: int | None = None,
    ) -> None:
        self.address = f"127.0.0.1:{port or free_port()}"
        self.requests = 0
        self.handle = handle
        self._health = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self._server)
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if credentials is None:
            self._server.add_insecure_port(self.address)
        else:
            self._server.add_secure_port(self.address, credentials)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def set_health(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        self._health.set("", status.SERVING if serving else status.NOT_SERVING)

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.requests += 1
        return self.handle(request, context)


class ServerProcess:
    """A small server in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Return when it answers."""
        command = [sys.executable, "-m", "tests.serving.client.servers", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert "ready" == self._process.stdout.readline().strip()

    def send(self, sent: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, sent)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def server_processes(count: int) -> Iterator[list[ServerProcess]]:
    servers = [ServerProcess() for _ in range(count)]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


def eventually(check: Callable[[], bool]) -> None:
    """Return when it holds."""
    ends = time.monotonic() + 60
    while not check():
        assert time.monotonic() < ends, "it never held"
        time.sleep(0.02)


if __name__ == "__main__":
    with SmallServer(port=int(sys.argv[1])):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Event().wait()
