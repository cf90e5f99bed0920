"""Run in KServe's environment: `kserve_server NAME SAVED_MODEL --http_port=N` serves a model over its V1 protocol.

The custom predictor of KServe's guide, with the model's signature for its function. A model whose signature takes
`image_bytes` gets images in base64, `{"instances": [{"image": {"b64": ...}}]}`, and the answer has the best label of
each. Other models get numbers, and the answer has probabilities.
"""

import base64
import os
import sys
from typing import Any

import kserve  # type: ignore[import-not-found]

IMAGE_BYTES = "image_bytes"


class Predictor(kserve.Model):  # type: ignore[misc]
    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self._path = path
        self.load()

    def load(self) -> bool:
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(self._path)
        self._function = self._model.signatures["serving_default"]
        self._takes_files = IMAGE_BYTES in self._function.structured_input_signature[1]
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        predict = self._predict_files if self._takes_files else self._predict_numbers
        return {"predictions": predict(payload["instances"])}

    def _predict_numbers(self, instances: Any) -> Any:
        image = self._tf.constant(instances, self._tf.float32)
        return self._function(image=image)["probabilities"].numpy().tolist()

    def _predict_files(self, instances: Any) -> Any:
        images = [base64.b64decode(instance["image"]["b64"]) for instance in instances]
        outputs = self._function(**{IMAGE_BYTES: self._tf.constant(images)})
        labels, probabilities = outputs["label"].numpy(), outputs["probabilities"].numpy().max(axis=1)
        return [
            {"label": label.decode(), "probability": float(probability)}
            for label, probability in zip(labels, probabilities, strict=True)
        ]


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name, saved_model = sys.argv.pop(1), sys.argv.pop(1)
    # KServe reads the rest of the command line itself.
    kserve.ModelServer().start([Predictor(name, saved_model)])
