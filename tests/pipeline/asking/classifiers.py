"""A gateway and a model server for the tests: small, real ones, that answer as a test wants."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np

from serving.apis import predict_pb2
from serving.signature import INPUT, LABEL, LABELS, LABELS_NAME, PROBABILITIES, ROWS
from serving.wire import Array, from_proto, to_proto
from tests.serving.client.servers import SmallServer

Reply = tuple[int, Any, Mapping[str, str]]


def labelled(replica: str = "10.0.0.1:8500") -> Reply:
    """The answer of a gateway about one image."""
    labels = [{"label": "cat", "probability": 0.75}, {"label": "dog", "probability": 0.25}]
    document = {"model": "pets", "version": 3, "replica": replica, "predictions": [{"name": None, "labels": labels}]}
    return 200, document, {}


@dataclass
class Gateway:
    """What a gateway was asked, and what it answers: to each request the next of the replies, then the last one."""

    url: str
    replies: list[Reply]
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def gateway(*replies: Reply) -> Iterator[Gateway]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            running.paths.append(self.path)
            running.headers.append(dict(self.headers))
            running.bodies.append(body)
            status, document, headers = running.replies.pop(0) if len(running.replies) > 1 else running.replies[0]
            content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base calls it
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = Gateway(f"http://127.0.0.1:{server.server_port}", list(replies) or [labelled()])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def classifying(images: list[bytes] | None = None) -> Callable[[Any, grpc.ServicerContext], Any]:
    """A handler of a model server that takes every image for a cat, as version 3; it keeps what it is asked."""

    def handle(request: Any, _: grpc.ServicerContext) -> Any:
        if request.model_spec.signature_name == LABELS_NAME:
            names = np.array([[b"cat", b"dog"]] * len(from_proto(request.inputs[ROWS])), object)
            return _reply({LABELS: names})
        batch = from_proto(request.inputs[INPUT]).tolist()
        if images is not None:
            images.extend(batch)
        labels = np.empty(len(batch), object)
        labels[:] = [b"cat"] * len(batch)
        outputs = {PROBABILITIES: np.array([[0.75, 0.25]] * len(batch), np.float32), LABEL: labels}
        return _reply(outputs)

    return handle


def _reply(outputs: Mapping[str, Array]) -> Any:
    reply = predict_pb2.PredictResponse(outputs={name: to_proto(value) for name, value in outputs.items()})
    reply.model_spec.version.value = 3
    return reply


@contextmanager
def model_server(images: list[bytes] | None = None) -> Iterator[SmallServer]:
    with SmallServer(classifying(images)) as server:
        yield server
