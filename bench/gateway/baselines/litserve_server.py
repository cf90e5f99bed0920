"""Run in LitServe's environment: `litserve_server SAVED_MODEL PORT BATCH` answers a multipart upload, field `content`.

BATCH is the largest batch; 1 is no batching.
"""

import os
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]

BATCH_TIMEOUT_SECONDS = 0.01


class Pets(litserve.LitAPI):  # type: ignore[misc]
    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(**options)
        self._path = path

    def setup(self, device: str) -> None:  # noqa: ARG002
        import tensorflow as tf

        self._tf = tf
        self._model = tf.saved_model.load(self._path)
        self._function = self._model.signatures["serving_default"]

    # FastAPI would read an annotation of `request`, and parse the body accordingly.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return request["content"].file.read()

    def predict(self, image: Any) -> Any:
        return self.classified([image])[0]

    def classified(self, images: list[bytes]) -> list[dict[str, Any]]:
        outputs = self._function(image_bytes=self._tf.constant(images))
        labels, probabilities = outputs["label"].numpy(), outputs["probabilities"].numpy().max(axis=1)
        return [
            {"label": label.decode(), "probability": float(probability)}
            for label, probability in zip(labels, probabilities, strict=True)
        ]

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


class BatchedPets(Pets):
    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, image: Any) -> Any:
        return self.classified(image)

    def unbatch(self, output: Any) -> Any:
        return output


def api(path: str, batch: int) -> Pets:
    if batch == 1:
        return Pets(path)
    return BatchedPets(path, max_batch_size=batch, batch_timeout=BATCH_TIMEOUT_SECONDS)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    server = litserve.LitServer(api(sys.argv[1], int(sys.argv[3])), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
