"""A model server without TensorFlow: the real rules over a small honest loader and a base path on disk."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.apis import meta_graph_pb2, model_server_config_pb2, tensor_pb2, types_pb2
from serving.model_server.lifecycle.aspired_versions_manager import AspiredVersionsManager, ManagerOptions
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.servable_state_monitor import ServableStateMonitor
from serving.model_server.lifecycle.server_core import ServerCore
from serving.model_server.lifecycle.storage_path_source import StoragePathSource
from serving.model_server.storage import file_system
from serving.status import NotFoundError
from serving.wire import Array

EXAMPLE_SIGNATURE = """
    inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT } }
    outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT } }
    outputs { key: "z" value { name: "z:0" dtype: DT_FLOAT } }
    method_name: "tensorflow/serving/predict"
"""


class Times:
    """A model that multiplies: y = factor * x and z = -y."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.closed = False
        signature = text_format.Parse(EXAMPLE_SIGNATURE, meta_graph_pb2.SignatureDef())
        self.signatures: Mapping[str, Any] = {"serving_default": signature}

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        y = feeds["x:0"] * self.factor
        return [{"y:0": y, "z:0": -y}[name].astype("float32") for name in fetches]

    def close(self) -> None:
        self.closed = True


class Shelf:
    """Loads `<version>/factor`; a version without that file fails, one that is gated waits to be let through."""

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.models: dict[int, Times] = {}
        self.gates: dict[int, threading.Event] = {}

    def __call__(self, servable_id: ServableId, path: str) -> Times:
        self.attempts.append(servable_id.version)
        if servable_id.version in self.gates:
            assert self.gates[servable_id.version].wait(30)
        with file_system.local_copy(path) as directory:
            factor = directory / "factor"
            if not factor.exists():
                raise NotFoundError(f"no model in {directory}")
            model = Times(float(factor.read_text()))
        self.models[servable_id.version] = model
        return model


class World:
    """Everything but gRPC. `turn()` polls and lets the manager act until it has nothing left to do."""

    def __init__(self, base: Path, **options: Any) -> None:
        allow = options.pop("allow_labels_for_unavailable", False)
        poll_seconds = options.pop("poll_seconds", 0.05)
        self.base = base
        self.shelf = Shelf()
        self.monitor = ServableStateMonitor()
        settings = {"load_retries": 0, "retry_interval_seconds": 0.0} | options
        self.manager = AspiredVersionsManager(self.shelf, self.monitor, ManagerOptions(**settings))
        self.source = StoragePathSource(self.manager.aspire, poll_seconds=poll_seconds)
        self.core = ServerCore(
            source=self.source, manager=self.manager, monitor=self.monitor, allow_labels_for_unavailable=allow
        )

    def add(self, *versions: int | str, broken: bool = False) -> None:
        for version in versions:
            directory = self.base / str(version)
            directory.mkdir(parents=True)
            if not broken:
                (directory / "factor").write_text(str(version))

    def states(self, name: str = "m") -> dict[int, str]:
        """Version -> state, with the code of its error where it has one, highest first as the status API lists them."""
        return {
            version: seen.state.name + (f" {seen.error.code.name}" if seen.error else "")
            for version, seen in self.monitor.versions(name).items()
        }

    def watch(self, config: Any) -> None:
        """Poll and act by hand from here on: every load happens inside `turn`."""
        self.manager.end_initial_load()
        self.source.update(config.model_config_list.config)

    def turn(self, steps: int = 6) -> None:
        self.source.poll()
        for _ in range(steps):
            self.manager.step()

    def answering(self, spec: Any) -> int:
        with self.core.servable(spec) as (servable_id, _):
            return servable_id.version


def config(base: Path | str, *, versions: Sequence[int] = (), name: str = "m", **labels: int) -> Any:
    """A config of one model: `specific` when versions are given, else the default policy; labels as keywords."""
    whole = model_server_config_pb2.ModelServerConfig()
    model = whole.model_config_list.config.add(name=name, base_path=str(base), model_platform="tensorflow")
    if versions:
        model.model_version_policy.specific.versions.extend(versions)
    for label, version in labels.items():
        model.version_labels[label] = version
    return whole


def eventually(check: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Return once the check holds; fail with what it says at the end."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def floats(values: Sequence[float], shape: Sequence[int]) -> Any:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto
