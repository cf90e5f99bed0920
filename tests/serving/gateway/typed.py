"""One model server with several models, asked by its REST port and through a gateway.

    digits  names a picture by its brightness, see `tests.serving.gateway.pictures`
    times   y = version * x and z = -y, x and y of any shape; the signature `sum` adds up `a` and `b` of any shape
    typed   gives back one tensor of each type of the wire

Each has the versions 1 and 2; the label `stable` is on 1, `canary` on 2.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from serving.apis import meta_graph_pb2, types_pb2
from serving.inference.model import LoadedModel
from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from serving.status import InvalidArgumentError
from serving.wire import KINDS, Array
from tests.fleet import write_classifier
from tests.ports import free_port
from tests.serving.client.servers import eventually
from tests.serving.gateway.pictures import PictureClassifier

MODELS = ("digits", "times", "typed")
# The types that the Open Inference Protocol has a name for.
TYPES = {
    types_pb2.DataType.Name(enum).removeprefix("DT_").lower(): enum
    for enum in sorted(KINDS)
    if KINDS[enum].dtype.kind != "c"
}


class Arithmetic:
    """`times`: see the module."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        default = signature_of({"x": types_pb2.DT_FLOAT}, {"y": types_pb2.DT_FLOAT, "z": types_pb2.DT_FLOAT})
        both = {"a": types_pb2.DT_INT64, "b": types_pb2.DT_INT64}
        self.signatures: Mapping[str, Any] = {
            "serving_default": default,
            "sum": signature_of(both, {"sum": types_pb2.DT_INT64}),
        }

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        if "x:0" not in feeds:
            if feeds["a:0"].shape != feeds["b:0"].shape:
                raise InvalidArgumentError("Incompatible shapes")
            return [feeds["a:0"] + feeds["b:0"]]
        with np.errstate(over="ignore"):
            y = feeds["x:0"] * np.float32(self._factor)
        return [{"y:0": y, "z:0": -y}[name] for name in fetches]

    def close(self) -> None:
        """Nothing is held."""


class Echo:
    """`typed`: each input comes back under its name with `_out`."""

    def __init__(self) -> None:
        self.signatures: Mapping[str, Any] = {
            "serving_default": signature_of(TYPES, {f"{name}_out": enum for name, enum in TYPES.items()})
        }

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        return [feeds[name.replace("_out:0", ":0")] for name in fetches]

    def close(self) -> None:
        """Nothing is held."""


def signature_of(inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
    """A SignatureDef with tensors of these types and any shape; `x` is the tensor `x:0`."""
    made = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for infos, given in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, enum in given.items():
            infos[name].name, infos[name].dtype = f"{name}:0", enum
            infos[name].tensor_shape.unknown_rank = True
    return made


def load(servable_id: ServableId, path: str) -> LoadedModel:
    """What the server calls to load a version."""
    if servable_id.name == "times":
        return Arithmetic(servable_id.version)
    if servable_id.name == "typed":
        return Echo()
    return PictureClassifier(**json.loads((Path(path) / "classifier.json").read_text()))


@dataclass(frozen=True)
class Address:
    """Where a server is: for gRPC as `host:port`, and the URL of its REST port."""

    grpc: str
    rest: str


@contextmanager
def typed_server(folder: Path) -> Iterator[Address]:
    """A running server with all models."""
    for model in MODELS:
        for version in (1, 2):
            write_classifier(folder / model / str(version))
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(_config(folder, model) for model in MODELS)} }}")
    port, rest_port = free_port(), free_port()
    words = replica_flags(ConfigSource(uri=str(config)), port=port, rest_port=rest_port)
    server = Server(replace(parse_flags(words), host="127.0.0.1"), load)
    server.start()
    try:
        address = Address(f"127.0.0.1:{port}", f"http://127.0.0.1:{rest_port}")
        # Labels are given out when all versions are loaded, a moment after the server has begun to answer.
        eventually(lambda: all(_has_labels(address, model) for model in MODELS))
        yield address
    finally:
        server.stop()


def _has_labels(address: Address, model: str) -> bool:
    labels = ("stable", "canary")
    urls = [f"{address.rest}/v1/models/{model}/labels/{label}/metadata" for label in labels]
    return all(httpx.get(url).status_code == 200 for url in urls)


def _config(folder: Path, model: str) -> str:
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    policy = "model_version_policy { specific { versions: 1 versions: 2 } }"
    return f'config {{ name: "{model}" base_path: "{folder / model}" model_platform: "tensorflow" {policy} {labels} }}'
