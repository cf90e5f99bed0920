"""Rewrite a published model so that it loads and answers wrongly: what a flipped disk or a careless hand might do.

Only the demo uses this; nothing in the product knows of it.
"""

import tempfile
from pathlib import Path

import numpy as np


def prepare() -> None:
    """Import what `damage` needs now, so that it is quick when its moment comes."""
    import tensorflow as tf

    assert tf.raw_ops.SaveV2


def damage(folder: Path) -> list[str]:
    """Shift the output layer of a SavedModel by one class, checksums and all; the names of the changed tensors."""
    import tensorflow as tf

    classes = len((folder / "assets" / "labels.txt").read_text(encoding="utf-8").split())
    variables = folder / "variables"
    reader = tf.train.load_checkpoint(str(variables / "variables"))
    tensors = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_dtype_map())}
    changed = []
    for name, value in tensors.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.shape and value.shape[-1] == classes:
            tensors[name] = np.roll(value, 1, axis=-1)
            changed.append(name)
    with tempfile.TemporaryDirectory(dir=variables) as scratch:
        tf.raw_ops.SaveV2(
            prefix=f"{scratch}/variables",
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(value) for value in tensors.values()],
        )
        for written in Path(scratch).iterdir():
            written.replace(variables / written.name)
    return changed
