"""What the tests of the scan share: models that are edited as no exporter would, and the graph on its own."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.safety import operations, scan
from serving.apis import saved_model_pb2
from tests.pipeline.safety.unsafe_models import LABELS


def problems(folder: Path, *, server_tensorflow: str = "2.21") -> list[str]:
    return scan.problems(folder, labels=LABELS, server_tensorflow=server_tensorflow)


def graph(folder: Path) -> Any:
    """The one meta graph of a model."""
    (only,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    return only


def reasons(meta_graph: Any) -> list[str]:
    return operations.problems(meta_graph)


def edited(source: Path, target: Path, change: Callable[[Any], object]) -> Path:
    """A copy with another description; `change` is called with the message."""
    shutil.copytree(source, target)
    description = target / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(description.read_bytes())
    change(saved_model)
    description.write_bytes(saved_model.SerializeToString())
    return target
