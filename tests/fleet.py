"""Replicas for tests: the embedded model server itself, over gRPC, with classifiers that need no TensorFlow.

A version's folder holds `classifier.json`. Its image is any text: the first character says what is in it, so that a
classifier can be right, wrong, slow or impossible to load, and the server's rules are the real ones throughout.
"""

import json
import random
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from serving.apis import meta_graph_pb2, types_pb2
from serving.canary import INPUT, LABEL, PROBABILITIES
from serving.model_server import storage
from serving.model_server.flags import parse_flags
from serving.model_server.monitor import ServableId
from serving.model_server.server import Server
from serving.model_server.status import InvalidArgumentError, NotFoundError, UnknownError
from serving.wire import Array

LABELS = ("0", "1", "2", "3")
POLL_SECONDS = 0.1


class Classifier:
    """Names the digit an image begins with, shifted by `shift` classes."""

    def __init__(self, *, shift: int = 0, milliseconds: float = 0.0) -> None:
        self._shift = shift
        self._seconds = milliseconds / 1000
        signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
        signature.inputs[INPUT].name, signature.inputs[INPUT].dtype = "images:0", types_pb2.DT_STRING
        signature.outputs[PROBABILITIES].name = "probabilities:0"
        signature.outputs[LABEL].name = "label:0"
        self.signatures: Mapping[str, Any] = {"serving_default": signature}

    def answer(self, image: bytes) -> tuple[list[float], bytes]:
        index = (LABELS.index(image[:1].decode()) + self._shift) % len(LABELS)
        return [0.7 if position == index else 0.1 for position in range(len(LABELS))], LABELS[index].encode()

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        if self._seconds:
            time.sleep(self._seconds)
        try:
            answers = [self.answer(image) for image in feeds["images:0"].tolist()]
        except ValueError as error:
            raise InvalidArgumentError("Unknown image file format.") from error
        labels = np.empty(len(answers), dtype=object)
        labels[:] = [label for _, label in answers]
        tensors = {"probabilities:0": np.array([each for each, _ in answers], np.float32), "label:0": labels}
        return [tensors[name] for name in fetches]

    def close(self) -> None:
        """Nothing is held."""


def load(servable_id: ServableId, path: str) -> Classifier:
    """What the server calls to load a version.

    Raises:
        NotFoundError: the folder holds no classifier.
    """
    try:
        with storage.local_copy(path) as folder:
            content = (folder / "classifier.json").read_text()
    except FileNotFoundError as error:
        raise NotFoundError(f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}") from (
            error
        )
    settings = json.loads(content)
    time.sleep(settings.pop("load_seconds", 0.0))
    return Classifier(**settings)


def write_classifier(folder: Path, **settings: float) -> None:
    """A model as `train` would leave it, as far as files go."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"stands for the graph")
    (folder / "classifier.json").write_text(json.dumps(settings))


def free_port() -> int:
    """A port that stays free while a server is down: none of those the system gives to connections."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - any will do
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class RunningReplica:
    """One model server on a port of its own; it can be stopped and started again, and sleep, as a pod may.

    A config on this machine it sees through a link of its own, without which it could not sleep.
    """

    def __init__(self, config: Path | str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._config = config
        self._seen = config.with_name(f"{config.stem}-{self.port}.config") if isinstance(config, Path) else config
        self._server: Server | None = None
        # A version this replica cannot load, though its files are good: out of memory, say.
        self.broken: int | None = None
        if isinstance(config, Path):
            self.wake()

    def start(self) -> None:
        words = [
            f"--port={self.port}",
            f"--model_config_file={self._seen}",
            "--allow_version_labels_for_unavailable_models",
            "--num_load_threads=1",
            "--num_unload_threads=1",
            "--max_num_load_retries=0",
        ]
        # Whole seconds are all a command line can say; a test would rather wait tenths.
        often = cast("int", POLL_SECONDS)
        flags = replace(
            parse_flags(words), model_config_file_poll_wait_seconds=often, file_system_poll_wait_seconds=often
        )
        self._server = Server(flags, self._load)
        self._server.start()

    def _load(self, servable_id: ServableId, path: str) -> Classifier:
        if servable_id.version == self.broken:
            raise UnknownError("out of memory")
        return load(servable_id, path)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def sleep(self) -> None:
        """See the config as it is now, whatever is written from here on; keep answering."""
        assert isinstance(self._config, Path)
        assert isinstance(self._seen, Path)
        copy = self._seen.with_suffix(".copy")
        copy.write_bytes(self._config.read_bytes())
        copy.replace(self._seen)

    def wake(self) -> None:
        """See the config as it is written."""
        assert isinstance(self._config, Path)
        assert isinstance(self._seen, Path)
        link = self._seen.with_suffix(".link")
        link.symlink_to(self._config)
        link.replace(self._seen)
