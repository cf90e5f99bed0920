"""Change the weights of a published model so that it loads and answers wrongly, as after a disk error or a bad edit.

`python -m embedded.demo.damage` prints `ready`, then reads three lines from standard input: the folder to read the
model from, the folder to damage, and a file to wait for. When that file exists it replaces the weights and prints the
names of the changed tensors. Only the demo uses it.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

# Much shorter than the time from a journal entry to its effect, or from a new folder to the next poll of a server.
_POLL_SECONDS = 0.001


def damage(source: Path, *, target: Path, trigger: Path) -> list[str]:
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
        while not trigger.exists():
            time.sleep(_POLL_SECONDS)
        for written in Path(scratch).iterdir():
            written.replace(target / "variables" / written.name)
    return changed


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
    source, target, trigger = (Path(sys.stdin.readline().strip()) for _ in range(3))
    print(damage(source, target=target, trigger=trigger), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
