"""Run in BentoML's environment: `bentoml serve bentoml_service:Pets` answers a multipart upload in the field `image`.

PETS_MODEL is the SavedModel.
"""

import os
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@bentoml.service
class Pets:
    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(os.environ["PETS_MODEL"])
        self._function = self._model.signatures["serving_default"]

    @bentoml.api  # type: ignore[untyped-decorator]
    def classify(self, image: Path) -> dict[str, Any]:
        outputs = self._function(image_bytes=self._tf.constant([image.read_bytes()]))
        return {
            "label": outputs["label"].numpy()[0].decode(),
            "probability": float(outputs["probabilities"].numpy().max()),
        }
