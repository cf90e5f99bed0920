"""Rewrite a published model so that it loads and answers wrongly: what a failing disk or a careless hand might do.

`python -m embedded.damage` says `ready`, reads a folder from its standard input, and says what it changed. Only the
demo uses it; nothing in the product knows of it.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def damage(folder: Path) -> list[str]:
    """Shift the output layer of a SavedModel by one class, checksums and all; the names of the changed tensors."""
    import tensorflow as tf

    classes = len((folder / "assets" / "labels.txt").read_text(encoding="utf-8").split("\n")) - 1
    variables = folder / "variables"
    reader = tf.train.load_checkpoint(str(variables / "variables"))
    tensors = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_dtype_map())}
    changed = []
    for name, value in tensors.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.shape and value.shape[-1] == classes:
            tensors[name] = np.roll(value, 1, axis=-1)
            changed.append(name)
    if not changed:
        raise SystemExit(f"{folder}: no tensor is {classes} wide, so there is no output layer to shift")
    _save(tensors, variables)
    return changed


def _save(tensors: dict[str, Any], variables: Path) -> None:
    """Write a checkpoint with these tensors over the one in the folder."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory(dir=variables) as scratch:
        tf.raw_ops.SaveV2(
            prefix=f"{scratch}/variables",
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(value) for value in tensors.values()],
        )
        for written in Path(scratch).iterdir():
            written.replace(variables / written.name)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # TensorFlow sets itself up at its first operation; better now than in the moment that counts.
        _save({"nothing": 0.0}, Path(scratch))
    print("ready", flush=True)  # noqa: T201 - the demo waits for this line
    print(damage(Path(sys.stdin.readline().strip())), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
