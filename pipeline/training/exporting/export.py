"""The SavedModel that servers load: encoded images in; probabilities, class number and label out.

It holds everything that a client or a server must know about the model: decoding, resizing and scaling in the
signature, the labels as an asset, and warm-up requests, which a server runs before it calls the version available.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.spec import Image
from pipeline.training.exporting.preprocessing import decoded
from serving import signature
from serving.apis import prediction_log_pb2
from serving.signature import CLASS_INDEX, INPUT, LABEL, PROBABILITIES

_WARMUP = "assets.extra/tf_serving_warmup_requests"
# Control characters, and other characters that some programs read as the end of a line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def export(
    network: Any, folder: Path, *, name: str, image: Image, labels: Sequence[str], warmup: Sequence[bytes]
) -> None:
    """Write the SavedModel to a folder. Its signature is that of `serving.signature`.

    The serving function is traced here with a fixed input name. The name that `keras.Model.export` gives depends on
    what the process did before, so it would change from version to version and break clients.

    Args:
        network: the trained Keras model of `pipeline.training.network.build`.
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
    module.weights = [variable.value for variable in network.variables]
    module.labels_file = tf.saved_model.Asset(_labels_file(folder.parent, labels))
    module.labels = tf.constant(list(labels))

    def serve(image_bytes: Any) -> dict[str, Any]:
        pixels = tf.map_fn(
            lambda content: decoded(content, image),
            image_bytes,
            fn_output_signature=tf.TensorSpec((image.height, image.width, image.channels), tf.float32),
        )
        probabilities = network(pixels, training=False)
        index = tf.argmax(probabilities, axis=-1)
        return {PROBABILITIES: probabilities, CLASS_INDEX: index, LABEL: tf.gather(module.labels, index)}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    tf.saved_model.save(module, str(folder), signatures={signature.NAME: module.serve})
    _write_warmup(folder / _WARMUP, name, warmup)


def _labels_file(folder: Path, labels: Sequence[str]) -> str:
    """One line per class, in the order of the classes. Characters that end a line are written as escape sequences."""
    path = folder / "labels.txt"
    lines = "".join(_CONTROL.sub(_escaped, label) + "\n" for label in labels)
    path.write_text(lines, encoding="utf-8")
    return str(path)


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


def _write_warmup(path: Path, name: str, images: Sequence[bytes]) -> None:
    """A request with one image and one with all of them: the shapes that a server meets first."""
    import tensorflow as tf

    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in ([images[0]], list(images)):
            request = signature.predict_request(name, batch)
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
