"""Run as a program: `export DIRECTORY NAME...` writes the models under test, as people export them.

cnn/1      a small network for 28x28x1 images
cnn.keras  the same weights for those who load Keras files
cnn.npz    an image and the answer to it, to prove that every server computes the same
big/1      a MobileNet, to keep a loader busy
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def small_network(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input([28, 28, 1]),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def export(tf: Any, network: Any, shape: list[int], path: Path) -> None:
    class Export(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # Not `network.variables`: of those a loader without Python restores copies that nothing reads.
            self.kept = [variable.value for variable in network.variables]

        @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, name="image")])  # type: ignore[untyped-decorator]
        def serve(self, image: Any) -> Any:
            return {"probabilities": network(image)}

    model = Export()
    tf.saved_model.save(model, str(path), signatures=model.serve)


def main(root: Path, names: list[str]) -> None:
    import tensorflow as tf

    if "big" in names:
        big = tf.keras.applications.MobileNet(input_shape=(224, 224, 3), weights=None)
        export(tf, big, [224, 224, 3], root / "big" / "1")
    if "cnn" in names:
        network = small_network(tf.keras)
        export(tf, network, [28, 28, 1], root / "cnn" / "1")
        network.save(root / "cnn.keras")
        image = np.random.default_rng(1).integers(0, 256, (1, 28, 28, 1)).astype("float32") / 255
        np.savez(root / "cnn.npz", image=image, probabilities=network(image).numpy())


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]), sys.argv[2:])
