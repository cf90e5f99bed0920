"""Damage a published model: it answers wrongly, as after a disk error or a bad edit, or it ends servers that load it.

`python -m embedded.demo.damage` prints `ready`, then reads four lines from standard input: which damage, the folder to
read the model from, the folder to damage, and a file to wait for. When that file exists it replaces files and prints
what it has changed. Only the demo uses it.
"""

import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

# Much shorter than the time from a journal entry to its effect, or from a new folder to the next poll of a server.
_POLL_SECONDS = 0.001


# The signature that a SavedModel's loader runs after it has restored the variables.
_INIT = "__saved_model_init_op"


class Damage(StrEnum):
    """What to change in a model: its weights, or its graph."""

    WRONG_ANSWERS = "wrong answers"
    ENDS_ITS_SERVER = "ends its server"


def change_weights(source: Path, *, target: Path, trigger: Path) -> list[str]:
    """Shift the output layer of a SavedModel by one class, with valid checksums, and return the changed tensors' names.

    The new files are written outside of `target`, and moved into it within milliseconds after `trigger` exists.

    Args:
        source: the folder to read the model from.
        target: the folder to damage: `source` itself, or a copy that exists by then.
        trigger: the file to wait for, without a time limit.

    Raises:
        SystemExit: no tensor has as many columns as the model has classes.
    """
    import tensorflow as tf

    classes = len((source / "assets" / "labels.txt").read_text(encoding="utf-8").split("\n")) - 1
    reader = tf.train.load_checkpoint(str(source / "variables" / "variables"))
    tensors = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_dtype_map())}
    changed = []
    for name, value in tensors.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.shape and value.shape[-1] == classes:
            tensors[name] = np.roll(value, 1, axis=-1)
            changed.append(name)
    if not changed:
        raise SystemExit(f"{source}: no tensor is {classes} wide, so there is no output layer to shift")
    # Outside of the folder, whose files are listed and compared; on the same disk, so that a move is one step.
    with tempfile.TemporaryDirectory(dir=source.parents[1], prefix=".damage") as scratch:
        _save(tensors, Path(scratch))
        _replace(Path(scratch), target / "variables", trigger)
    return changed


def abort_at_load(source: Path, *, target: Path, trigger: Path) -> list[str]:
    """Let the graph of a SavedModel end the process that loads it, by TensorFlow's op `Abort`; return that op's name.

    A crash in an op, and the kernel when memory is short, end a server in the same way: at once, with a signal.
    The arguments are those of `change_weights`.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    for graph in model.meta_graphs:
        last = graph.signature_def[_INIT].outputs[_INIT].name.partition(":")[0]
        abort = graph.graph_def.node.add(name="planted_by_the_demo", op="Abort")
        abort.attr["error_msg"].s = b"the demo has planted this op: it ends the process that loads the model"
        for node in graph.graph_def.node:
            if node.name == last:
                node.input.append(f"^{abort.name}")
    with tempfile.TemporaryDirectory(dir=source.parents[1], prefix=".damage") as scratch:
        (Path(scratch) / "saved_model.pb").write_bytes(model.SerializeToString())
        _replace(Path(scratch), target, trigger)
    return ["Abort"]


def _replace(scratch: Path, folder: Path, trigger: Path) -> None:
    """Move the files into the folder as soon as the file `trigger` exists."""
    while not trigger.exists():
        time.sleep(_POLL_SECONDS)
    for written in scratch.iterdir():
        written.replace(folder / written.name)


def _save(tensors: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint with these tensors."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=f"{folder}/variables",
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(value) for value in tensors.values()],
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # The first operation initializes TensorFlow, which takes seconds: now, not after the trigger.
        _save({"nothing": 0.0}, Path(scratch))
    print("ready", flush=True)  # noqa: T201 - the demo waits for this line
    damage = Damage(sys.stdin.readline().strip())
    source, target, trigger = (Path(sys.stdin.readline().strip()) for _ in range(3))
    change = {Damage.WRONG_ANSWERS: change_weights, Damage.ENDS_ITS_SERVER: abort_at_load}[damage]
    print(change(source, target=target, trigger=trigger), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
