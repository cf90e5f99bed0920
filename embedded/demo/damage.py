"""Rewrite a published model so that it loads and answers wrongly: what a failing disk or a careless hand might do.

`python -m embedded.damage` says `ready`, and reads three lines from its standard input: the folder of the model, the
folder in which to damage it, and a file to wait for. Once that file appears the damaged weights take the place of the
good ones there, and it says what it changed. Only the demo uses it; nothing in the product knows of it.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

# Short against the time between a journal entry and its effect, and between a folder's appearance and a server's poll.
_LOOK_SECONDS = 0.001


def damage(folder: Path, *, where: Path, when: Path) -> list[str]:
    """Shift the output layer of a SavedModel by one class, checksums and all; the names of the changed tensors.

    It is prepared aside and put in place in the moment in which `when` appears.

    Args:
        folder: the model as it is.
        where: the folder to damage: the same, or one that will have appeared by then with the same files.
        when: the file to wait for.
    """
    import tensorflow as tf

    classes = len((folder / "assets" / "labels.txt").read_text(encoding="utf-8").split("\n")) - 1
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    tensors = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_dtype_map())}
    changed = []
    for name, value in tensors.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.shape and value.shape[-1] == classes:
            tensors[name] = np.roll(value, 1, axis=-1)
            changed.append(name)
    if not changed:
        raise SystemExit(f"{folder}: no tensor is {classes} wide, so there is no output layer to shift")
    # Beside the folder, so that nobody who reads it sees more files than there should be.
    with tempfile.TemporaryDirectory(dir=folder.parents[1], prefix=".damage") as scratch:
        _save(tensors, Path(scratch))
        while not when.exists():
            time.sleep(_LOOK_SECONDS)
        for written in Path(scratch).iterdir():
            written.replace(where / "variables" / written.name)
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
        # TensorFlow sets itself up at its first operation; better now than in the moment that counts.
        _save({"nothing": 0.0}, Path(scratch))
    print("ready", flush=True)  # noqa: T201 - the demo waits for this line
    folder, where, when = (Path(sys.stdin.readline().strip()) for _ in range(3))
    print(damage(folder, where=where, when=when), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
