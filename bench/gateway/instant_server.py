"""Run as a program: `instant_server CONFIG PORT` is the embedded server with a model that takes no time.

Any bytes are an image for it, so that the gateway is all there is to see. The rest is the real server.
"""

import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.gateway.pets import LABELS
from serving.apis import meta_graph_pb2, types_pb2
from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from serving.signature import CLASS_INDEX, INPUT, LABEL, NAME, OUTPUTS, PROBABILITIES
from serving.wire import Array

_TYPES = {PROBABILITIES: types_pb2.DT_FLOAT, CLASS_INDEX: types_pb2.DT_INT64, LABEL: types_pb2.DT_STRING}
_FEED = "images:0"


class Instant:
    """A classifier that says the same of each image."""

    def __init__(self) -> None:
        signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
        signature.inputs[INPUT].name, signature.inputs[INPUT].dtype = _FEED, types_pb2.DT_STRING
        signature.inputs[INPUT].tensor_shape.dim.add(size=-1)
        for name in OUTPUTS:
            signature.outputs[name].name, signature.outputs[name].dtype = f"{name}:0", _TYPES[name]
            signature.outputs[name].tensor_shape.dim.add(size=-1)
        signature.outputs[PROBABILITIES].tensor_shape.dim.add(size=len(LABELS))
        self.signatures: Mapping[str, Any] = {NAME: signature}

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002
    ) -> list[Array]:
        images = len(feeds[_FEED])
        outputs: dict[str, Array] = {
            PROBABILITIES: np.tile(np.array([0.9, 0.1], np.float32), (images, 1)),
            CLASS_INDEX: np.zeros(images, np.int64),
            LABEL: np.array([LABELS[0].encode()] * images, object),
        }
        return [outputs[name.removesuffix(":0")] for name in fetches]

    def close(self) -> None:
        """Nothing is held."""


def load(servable_id: ServableId, path: str) -> Instant:  # noqa: ARG001
    return Instant()


def main(config: str, port: int) -> None:
    ended = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    # The files are those of the pets model, with warm-up requests for all that it can do.
    flags = [*replica_flags(ConfigSource(uri=config), port=port), "--enable_model_warmup=false"]
    server = Server(parse_flags(flags), load=load)
    server.start()
    signal.sigwait(ended)
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
