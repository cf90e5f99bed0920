"""The SavedModel that servers load: images in; probabilities, class number and label out.

It takes encoded images, and in a second signature pixels; a third one gives the labels of all classes. It holds
everything that a client or a server must know about the model: decoding, resizing and scaling in the signature, the
labels as an asset, and warm-up requests, which a server runs before it calls the version available.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.spec import Image
from pipeline.training.preprocessing import decoded
from serving import signature
from serving.apis import prediction_log_pb2
from serving.signature import CLASS_INDEX, INPUT, LABEL, LABELS, MOST_ROWS, PIXELS, PROBABILITIES, ROWS

_WARMUP = "assets.extra/tf_serving_warmup_requests"
# Control characters, and other characters that some programs read as the end of a line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def export(
    network: Any, folder: Path, *, name: str, image: Image, labels: Sequence[str], warmup: Sequence[bytes]
) -> None:
    """Write the SavedModel to a folder. Its signatures are those of `serving.signature`.

    The serving functions are traced here with fixed input names. The name that `keras.Model.export` gives depends on
    what the process did before, so it would change from version to version and break clients.

    Args:
        network: a trained Keras model in float32, or one of `pipeline.training.exporting.importing`: from float32
            pixels in [0, 1] of shape (batch, height, width, channels) to float32 probabilities (batch, classes).
        folder: where to write; it must not exist, and its parent must.
        name: the name of the model, for the warm-up requests.
        image: the size and the channels of the network's input.
        labels: in the order of the network's outputs.
        warmup: encoded images for the warm-up requests; at least one.
    """
    import tensorflow as tf

    module = tf.Module()
    # The variables one by one, not the network: Keras saves the network's variables as those of the optimiser. A server
    # that loads the graph without Python would leave the layers' variables uninitialised.
    module.weights = [_of_tensorflow(variable) for variable in network.variables]
    # Tables of an imported network, which are no variables.
    module.resources = list(getattr(network, "resources", ()))
    module.labels_file = tf.saved_model.Asset(_labels_file(folder.parent, labels))
    module.labels = tf.constant(list(labels))
    shape = (image.height, image.width, image.channels)

    def serve_tensor(pixels: Any) -> dict[str, Any]:
        probabilities = network(pixels, training=False)
        index = tf.argmax(probabilities, axis=-1)
        return {PROBABILITIES: probabilities, CLASS_INDEX: index, LABEL: tf.gather(module.labels, index)}

    def serve(image_bytes: Any) -> dict[str, Any]:
        one = tf.TensorSpec(shape, tf.float32)
        return serve_tensor(tf.map_fn(lambda content: decoded(content, image), image_bytes, fn_output_signature=one))

    def serve_labels(rows: Any) -> dict[str, Any]:
        few = tf.debugging.Assert(tf.size(rows) <= MOST_ROWS, [f"ask for 1 to {MOST_ROWS} rows of labels, not", rows])
        with tf.control_dependencies([few]):
            return {LABELS: tf.gather(module.labels[tf.newaxis], tf.zeros_like(rows))}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    pixels = tf.TensorSpec([None, *shape], tf.float32, name=PIXELS)
    module.serve_tensor = tf.function(serve_tensor, input_signature=[pixels])
    module.serve_labels = tf.function(serve_labels, input_signature=[tf.TensorSpec([None], tf.int64, name=ROWS)])
    signatures = {
        signature.NAME: module.serve,
        signature.TENSOR_NAME: module.serve_tensor,
        signature.LABELS_NAME: module.serve_labels,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    _write_warmup(folder / _WARMUP, name, warmup, image)


def _of_tensorflow(variable: Any) -> Any:
    """The variable of TensorFlow in one of Keras; another one is one of TensorFlow already."""
    import keras

    return variable.value if isinstance(variable, keras.Variable) else variable


def _labels_file(folder: Path, labels: Sequence[str]) -> str:
    """One line per class, in the order of the classes. Characters that end a line are written as escape sequences."""
    path = folder / "labels.txt"
    lines = "".join(_CONTROL.sub(_escaped, label) + "\n" for label in labels)
    path.write_text(lines, encoding="utf-8")
    return str(path)


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


def _write_warmup(path: Path, name: str, images: Sequence[bytes], image: Image) -> None:
    """The requests that a server meets first: one image and all of them, for each signature, and the labels."""
    import tensorflow as tf

    size = {"height": image.height, "width": image.width, "channels": image.channels}
    requests = [
        *(signature.predict_request(name, batch) for batch in ([images[0]], list(images))),
        *(signature.tensor_request(name, batch, **size) for batch in (1, len(images))),
        signature.labels_request(name),
    ]
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
