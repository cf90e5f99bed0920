"""The damage for the demo: in the output layer only, and only in the target folder."""

import shutil
from pathlib import Path

import numpy as np

from embedded.demo.damage import damage
from pipeline.storage.sums import sums_of


def test_the_target_is_damaged_and_the_source_is_unchanged(tmp_path: Path) -> None:
    import tensorflow as tf

    archive, served = tmp_path / "published" / "digits" / "5", tmp_path / "serve" / "digits" / "5"
    (archive / "assets").mkdir(parents=True)
    (archive / "variables").mkdir()
    (archive / "assets" / "labels.txt").write_text("a\nb\nc\n", encoding="utf-8")
    weights = {"head": tf.constant([[1.0, 2.0, 3.0]]), "body": tf.constant([[1.0, 2.0]])}
    tf.raw_ops.SaveV2(
        prefix=f"{archive}/variables/variables",
        tensor_names=list(weights),
        shape_and_slices=["", ""],
        tensors=list(weights.values()),
    )
    shutil.copytree(archive, served)
    before = sums_of(archive)

    changed = damage(archive, target=served, trigger=served / "assets" / "labels.txt")

    reader = tf.train.load_checkpoint(str(served / "variables" / "variables"))
    assert ["head"] == changed
    assert np.array_equal([[3.0, 1.0, 2.0]], reader.get_tensor("head"))
    assert np.array_equal([[1.0, 2.0]], reader.get_tensor("body"))
    assert before == sums_of(archive)
    assert before.keys() == sums_of(served).keys()
