"""Run as a program: `in_process SAVED_MODEL EXAMPLE ROUNDS SECONDS PORT...` times one caller: array in, array out.

In turn: the function called in this process, and each server on 127.0.0.1 asked by an ordinary gRPC client. Prints the
medians of each round in seconds as JSON, the function's first and then the servers' in the order of their ports.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np

from serving.apis import predict_pb2, prediction_service_pb2_grpc
from serving.wire import Array, from_proto, to_proto

Call = Callable[[], Array]
WARM_UP_CALLS = 20


def function(path: str, image: Array) -> Call:
    import tensorflow as tf

    model = tf.saved_model.load(path)
    signature = model.signatures["serving_default"]

    def call() -> Array:
        # A signature does not keep its model alive: without it the variables are gone.
        assert model is not None
        answer: Array = signature(image=tf.constant(image))["probabilities"].numpy()
        return answer

    return call


def server(port: int, image: Array) -> Call:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)])
    stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def call() -> Array:
        request = predict_pb2.PredictRequest(model_spec={"name": "cnn"})
        request.inputs["image"].CopyFrom(to_proto(image, as_content=True))
        return from_proto(stub.Predict(request, timeout=30).outputs["probabilities"])

    return call


def median(call: Call, seconds: float) -> float:
    for _ in range(WARM_UP_CALLS):
        call()
    times = []
    end = time.perf_counter() + seconds
    while (before := time.perf_counter()) < end:
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def main(path: str, example: str, rounds: int, seconds: float, ports: list[int]) -> None:
    with np.load(example) as saved:
        image = saved["image"]
    calls = [function(path, image), *(server(port, image) for port in ports)]
    found = [[median(call, seconds) for call in calls] for _ in range(rounds)]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), [int(port) for port in sys.argv[5:]])
