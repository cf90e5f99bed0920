"""A whole server in this process, over the small loader of `world.py`, and what a client says to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc
from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import Load
from serving.model_server.server import Server
from tests.serving.model_server.world import Shelf, floats


@contextmanager
def running(base: Path, *words: str, load: Load | None = None) -> Iterator[Server]:
    """A server of model `default` with version 1 in it, started with these words of a command line."""
    (base / "1").mkdir(parents=True, exist_ok=True)
    (base / "1" / "factor").write_text("1")
    server = Server(parse_flags([f"--model_base_path={base}", *words]), load or Shelf())
    try:
        server.start()
        yield server
    finally:
        server.stop()


def predicted(channel: grpc.Channel, *, name: str = "default", timeout: float = 10) -> Any:
    request = predict_pb2.PredictRequest(model_spec={"name": name}, inputs={"x": floats([2], [1])})
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)


def answers(channel: grpc.Channel) -> bool:
    """Whether a status request over this channel is answered; False when no connection comes about."""
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "default"})
    try:
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=10)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        raise
    return True
