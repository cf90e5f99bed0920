"""Run in MLflow's environment: `mlflow_model SAVED_MODEL TARGET` saves it as a model of the flavour `pyfunc`.

A column of bytes, which a request holds in base64; the flavour `tensorflow` has no way to send an encoded image.
"""

import os
import sys
from typing import Any


class Pets:
    def load_context(self, context: Any) -> None:
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(context.artifacts["saved_model"])
        self._function = self._model.signatures["serving_default"]

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, Any]]:  # noqa: ARG002
        outputs = self._function(image_bytes=self._tf.constant(model_input["image"].tolist()))
        labels, probabilities = outputs["label"].numpy(), outputs["probabilities"].numpy().max(axis=1)
        return [
            {"label": label.decode(), "probability": float(probability)}
            for label, probability in zip(labels, probabilities, strict=True)
        ]


def main(saved_model: str, target: str) -> None:
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    class Model(Pets, mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        """MLflow pickles a class of this program by value."""

    signature = ModelSignature(inputs=Schema([ColSpec(DataType.binary, "image")]))
    artifacts = {"saved_model": saved_model}
    mlflow.pyfunc.save_model(
        target, python_model=Model(), artifacts=artifacts, signature=signature, pip_requirements=[]
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1], sys.argv[2])
