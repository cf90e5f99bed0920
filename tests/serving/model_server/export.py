"""Run as a program: `export.py DIRECTORY` writes the SavedModels the process tests serve, as real ones are written."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from serving.apis import predict_pb2, prediction_log_pb2, types_pb2


def classifier(tf: Any, labels: Path, seed: int) -> Any:
    """Encoded images in; probabilities, class and label out. The labels are an asset, the weights are variables."""

    class Classifier(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(np.random.default_rng(seed).normal(size=(64, 3)).astype("float32"))
            line = tf.lookup.TextFileIndex
            lines = tf.lookup.TextFileInitializer(str(labels), tf.int64, line.LINE_NUMBER, tf.string, line.WHOLE_LINE)
            self.labels = tf.lookup.StaticHashTable(lines, "?")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])  # type: ignore[untyped-decorator]
        def serve(self, image: Any) -> Any:
            def pixels(encoded: Any) -> Any:
                decoded = tf.io.decode_image(encoded, channels=1, expand_animations=False)
                return tf.reshape(tf.image.resize(decoded, [8, 8]), [64]) / 255.0

            batch = tf.map_fn(pixels, image, fn_output_signature=tf.TensorSpec([64], tf.float32))
            probabilities = tf.nn.softmax(batch @ self.weights)
            best = tf.argmax(probabilities, axis=-1)
            return {"probabilities": probabilities, "class": best, "label": self.labels.lookup(best)}

    return Classifier()


def keras_model(tf: Any) -> Any:
    """A Keras 3 network behind a tf.function of fixed input name, as the pipeline exports it."""
    network = tf.keras.Sequential([tf.keras.layers.Input([4]), tf.keras.layers.Dense(2, activation="softmax")])

    class Export(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # Not `network.variables`: of those a loader without Python restores copies that nothing reads.
            self.kept = [variable.value for variable in network.variables]

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def serve(self, x: Any) -> Any:
            return {"probabilities": network(x)}

    return Export()


def warm_up_log(image: bytes) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request: Any = predict_pb2.PredictRequest(model_spec={"name": "images"})
    request.inputs["image"].dtype = types_pb2.DT_STRING
    request.inputs["image"].string_val.append(image)
    request.inputs["image"].tensor_shape.dim.add(size=1)
    log.predict_log.request.CopyFrom(request)
    return bytes(log.SerializeToString())


def save_answer(file: Path, answer: Any) -> None:
    np.savez(file, **{alias: tensor.numpy() for alias, tensor in answer.items()})


def main(root: Path) -> None:
    import tensorflow as tf

    image = tf.io.encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8, 1)).numpy()
    (root / "image.png").write_bytes(image)
    labels = root / "labels.txt"
    labels.write_text("zero\none\ntwo\n")
    for version in (1, 2):
        model = classifier(tf, labels, seed=version)
        path = root / "images" / str(version)
        tf.saved_model.save(model, str(path), signatures=model.serve)
        save_answer(root / f"expected-{version}.npz", model.serve(tf.constant([image])))
        (path / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
            writer.write(warm_up_log(image))
    model = keras_model(tf)
    tf.saved_model.save(model, str(root / "keras" / "1"), signatures=model.serve)
    save_answer(root / "expected-keras.npz", model.serve(np.eye(4, dtype="float32")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
