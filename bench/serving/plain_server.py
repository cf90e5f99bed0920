"""Run as a program: `plain_server PORT SAVED_MODEL` is what one writes without a model server, the baseline for ours.

`tf.saved_model.load`, TensorFlow's own conversions and gRPC's thread pool, each used the obvious way. It also loads a
second model beside the first when told to, because that is how such a server would be given a new version.
"""

import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from serving.apis import predict_pb2

THREADS = 8
LOAD_METHOD = "/bench.Plain/Load"


class Plain:
    def __init__(self, tf: Any, path: str) -> None:
        self._tf = tf
        self._model = tf.saved_model.load(path)
        self._function = self._model.signatures["serving_default"]
        self._other: Any = None

    def predict(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        tf = self._tf
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, tensor in self._function(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response

    def load(self, path: bytes, context: Any) -> bytes:  # noqa: ARG002
        """Return when the other model is ready; the one before it is let go."""
        other = self._tf.saved_model.load(path.decode())
        self._other = other, other.signatures["serving_default"]
        return b""


def handlers(plain: Plain) -> Any:
    predict = grpc.unary_unary_rpc_method_handler(
        plain.predict,
        request_deserializer=predict_pb2.PredictRequest.FromString,
        response_serializer=predict_pb2.PredictResponse.SerializeToString,
    )
    load = grpc.unary_unary_rpc_method_handler(plain.load)
    return [
        grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": predict}),
        grpc.method_handlers_generic_handler("bench.Plain", {"Load": load}),
    ]


def main(port: int, path: str) -> None:
    import tensorflow as tf

    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=handlers(Plain(tf, path)))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    logging.info("answering on %d", port)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.INFO)
    main(int(sys.argv[1]), sys.argv[2])
