"""The damage for the demo: in the output layer only, or a graph that ends its server; in the target folder only."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from embedded.demo.damage import abort_at_load, change_weights
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

    changed = change_weights(archive, target=served, trigger=served / "assets" / "labels.txt")

    reader = tf.train.load_checkpoint(str(served / "variables" / "variables"))
    assert ["head"] == changed
    assert np.array_equal([[3.0, 1.0, 2.0]], reader.get_tensor("head"))
    assert np.array_equal([[1.0, 2.0]], reader.get_tensor("body"))
    assert before == sums_of(archive)
    assert before.keys() == sums_of(served).keys()


LOAD = """
import sys
from pathlib import Path
from serving.inference.local_model import load_local_model
load_local_model(Path(sys.argv[1]))
"""


def test_a_model_whose_graph_was_changed_ends_the_process_that_loads_it(tmp_path: Path) -> None:
    """...by a signal, as the loader of the model server. The source stays what it was, and loads."""
    import tensorflow as tf

    archive, served = tmp_path / "published" / "5", tmp_path / "serve" / "5"
    module = tf.Module()
    module.weight = tf.Variable(2.0)
    serve = tf.function(lambda number: {"product": number * module.weight}, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(module, str(archive), signatures={"serving_default": serve})
    shutil.copytree(archive, served)

    abort_at_load(archive, target=served, trigger=served / "saved_model.pb")

    ends = [
        subprocess.run([sys.executable, "-c", LOAD, str(each)], check=False, capture_output=True)
        for each in (archive, served)
    ]
    assert [0, -signal.SIGABRT] == [each.returncode for each in ends], ends[0].stderr[-300:]
    assert sums_of(archive).keys() == sums_of(served).keys()
