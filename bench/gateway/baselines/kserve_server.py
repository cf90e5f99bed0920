"""Run in KServe's environment: `kserve_server SAVED_MODEL --http_port=N` answers images in base64 over its V1 protocol.

The custom predictor of KServe's guide, `{"instances": [{"image": {"b64": ...}}]}`, with the model for its function.
"""

import base64
import os
import sys
from typing import Any

import kserve  # type: ignore[import-not-found]

NAME = "pets"


class Predictor(kserve.Model):  # type: ignore[misc]
    def __init__(self, path: str) -> None:
        super().__init__(NAME)
        self._path = path
        self.load()

    def load(self) -> bool:
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(self._path)
        self._function = self._model.signatures["serving_default"]
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        images = [base64.b64decode(instance["image"]["b64"]) for instance in payload["instances"]]
        outputs = self._function(image_bytes=self._tf.constant(images))
        labels, probabilities = outputs["label"].numpy(), outputs["probabilities"].numpy().max(axis=1)
        answers = [
            {"label": label.decode(), "probability": float(probability)}
            for label, probability in zip(labels, probabilities, strict=True)
        ]
        return {"predictions": answers}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    saved_model = sys.argv.pop(1)
    # KServe reads the rest of the command line itself.
    kserve.ModelServer().start([Predictor(saved_model)])
