"""Whether servers may be given a SavedModel: what its graph does, its weights, its signature, and who wrote it.

A SavedModel is a program. TensorFlow runs whatever is in it, and the scan stands between that and the servers: it is
to be done before anything loads the model. It is no sandbox: a graph that only computes may still compute nonsense,
which the gate and the canary judge, or crash a kernel.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import FailedError
from pipeline.safety import files, operations, versions, weights
from pipeline.safety.quoting import some
from serving.apis import types_pb2
from serving.signature import contract_problems

# What a server asks for when its config names no tags.
_SERVED_TAGS = {"serve"}
_MOST = 20


def problems(folder: Path, *, labels: Sequence[str], server_tensorflow: str) -> list[str]:
    """Why servers must not get this model, one refusal a line; empty where they may.

    `server_tensorflow` is the version the servers run, such as 2.21.

    Raises:
        FailedError: the folder holds no SavedModel.
        BadInputError: `server_tensorflow` is no version.
    """
    saved_model = files.read(folder)
    found = files.problems(folder, saved_model)
    meta_graphs = saved_model.meta_graphs
    for meta_graph in meta_graphs:
        name = _name(meta_graph, meta_graphs)
        found.extend(f"{name}{problem}" for problem in operations.problems(meta_graph))
        found.extend(
            f"{name}{problem}" for problem in versions.problems(meta_graph, server_tensorflow=server_tensorflow)
        )
    found.extend(_contract(meta_graphs, labels=labels))
    restored = any(meta_graph.saver_def.restore_op_name for meta_graph in meta_graphs)
    found.extend(weights.problems(folder, restored=restored))
    return _limited(found)


def operation_problems(folder: Path) -> list[str]:
    """Why a SavedModel from elsewhere must not be loaded, one refusal a line: what it would do besides computing.

    It may have any signature. What is exported of it is scanned again, as a whole.
    """
    try:
        saved_model = files.read(folder)
    except FailedError:
        return [f"its {files.DESCRIPTION} is not the description of a SavedModel"]
    found = files.problems(folder, saved_model)
    for meta_graph in saved_model.meta_graphs:
        name = _name(meta_graph, saved_model.meta_graphs)
        found.extend(f"{name}{problem}" for problem in operations.problems(meta_graph))
    return _limited(found)


def _name(meta_graph: Any, meta_graphs: Sequence[Any]) -> str:
    """Of several graphs, each is named by its tags."""
    return f"graph {sorted(meta_graph.meta_info_def.tags)}: " if len(meta_graphs) > 1 else ""


def _limited(found: list[str]) -> list[str]:
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more problems"]


def _contract(meta_graphs: Sequence[Any], *, labels: Sequence[str]) -> list[str]:
    served = [each for each in meta_graphs if set(each.meta_info_def.tags) == _SERVED_TAGS]
    if len(served) != 1:
        return [f"{len(served)} graphs are tagged {sorted(_SERVED_TAGS)}, not one"]
    signatures = served[0].signature_def
    strange = sorted(
        alias
        for signature in signatures.values()
        for alias, info in (*signature.inputs.items(), *signature.outputs.items())
        if info.dtype not in types_pb2.DataType.values()
    )
    if strange:
        return [f"signature: no TensorFlow knows the types of {some([repr(each) for each in strange])}"]
    return [f"signature: {problem}" for problem in contract_problems(signatures, labels=labels)]
