"""Run in MLflow's environment: `mlflow_models SOURCE TARGET` saves the small network the two ways MLflow offers.

TARGET/keras   the Keras model: the usual way, answered by Keras' `predict`
TARGET/module  a tf.Module over the SavedModel's signature: the fast way
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(source: Path, target: Path) -> None:
    import mlflow.tensorflow
    import tensorflow as tf
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28, 1))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, 10))]),
    )

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = tf.saved_model.load(str(source / "cnn" / "1"))

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, image: Any) -> Any:
            return self.model.signatures["serving_default"](image=image)["probabilities"]

    keras = tf.keras.models.load_model(source / "cnn.keras")
    mlflow.tensorflow.save_model(keras, str(target / "keras"), signature=signature)
    mlflow.tensorflow.save_model(Module(), str(target / "module"), signature=signature)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
