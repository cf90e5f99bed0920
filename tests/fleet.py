"""Replicas for tests: the embedded model server itself, over gRPC, with classifiers that need no TensorFlow.

A version's folder holds `classifier.json`, and `saved_model.pb`, of which nothing counts but that it is there. Its
image is any text: the first character says what is in it, so that a classifier can be right, wrong, slow or impossible
to load, and the server's rules are the real ones throughout. A real picture shows the digit that its brightness says.
"""

import io
import itertools
import json
import shutil
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import google_crc32c
import numpy as np
from PIL import Image as Picture
from PIL import ImageStat

from serving.apis import meta_graph_pb2, prediction_log_pb2, types_pb2
from serving.inference import warmup
from serving.inference.tfrecord import masked
from serving.messages import predict_request
from serving.model_server.flags import Flags, parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.model_server.storage import file_system
from serving.server_flags import BasePathSource, ConfigSource, Source, replica_flags
from serving.signature import (
    CLASS_INDEX,
    INPUT,
    LABEL,
    LABELS_NAME,
    NAME,
    OUTPUTS,
    PIXELS,
    PROBABILITIES,
    ROWS,
    TENSOR_NAME,
    inputs_of,
)
from serving.signature import LABELS as LABEL_NAMES
from serving.status import InvalidArgumentError, NotFoundError, StatusError, UnknownError
from serving.wire import Array
from tests.ports import free_port

LABELS = ("0", "1", "2", "3")
POLL_SECONDS = 0.1
# Between the end of a server that gave up and its next start, and between two tries to load a version.
RESTART_SECONDS = 0.2
RETRY_SECONDS = 0.3


class Classifier:
    """Names the digit an image begins with, shifted by `shift` classes; of a picture, the quarter of its brightness.

    `moved`: each label has moved by so many indices; the names are right all the same. `known`: it knows only the first
    so many labels, and takes what shows another for the first. `old`: it was exported before there were the signatures
    for pixels and for the labels of all classes.
    """

    def __init__(
        self,
        *,
        shift: int = 0,
        moved: int = 0,
        known: int = len(LABELS),
        milliseconds: float = 0.0,
        old: bool = False,
    ) -> None:
        self._shift = shift
        self._moved = moved
        self._known = known
        self._seconds = milliseconds / 1000
        self.signatures: dict[str, Any] = {NAME: _signature(INPUT, types_pb2.DT_STRING, OUTPUTS)}
        if not old:
            self.signatures[TENSOR_NAME] = _signature(PIXELS, types_pb2.DT_FLOAT, OUTPUTS)
            self.signatures[LABELS_NAME] = _signature(ROWS, types_pb2.DT_INT64, [LABEL_NAMES])

    def answer(self, image: bytes) -> tuple[list[float], bytes]:
        return self._answer(_shown(image))

    def names(self) -> list[bytes]:
        """The label of each index."""
        return [LABELS[(index - self._moved) % self._known].encode() for index in range(self._known)]

    def _answer(self, shown: int) -> tuple[list[float], bytes]:
        label = (shown + self._shift) % self._known if shown < self._known else 0
        index = (label + self._moved) % self._known
        return [0.7 if position == index else 0.1 for position in range(self._known)], LABELS[label].encode()

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        if self._seconds:
            time.sleep(self._seconds)
        (fed,) = feeds
        outputs = self._outputs(fed.removesuffix(":0"), feeds[fed])
        return [outputs[name.removesuffix(":0")] for name in fetches]

    def _outputs(self, name: str, values: Array) -> dict[str, Array]:
        if name == ROWS:
            return {LABEL_NAMES: np.array([self.names()] * len(values), np.object_)}
        if name == PIXELS:
            return outputs_for([self._answer(_quarter(255 * float(image.mean()))) for image in values])
        try:
            return outputs_for([self.answer(image) for image in values.tolist()])
        except ValueError as error:
            raise InvalidArgumentError("Unknown image file format.") from error

    def close(self) -> None:
        """Nothing is held."""


def _signature(name: str, dtype: int, outputs: Sequence[str]) -> Any:
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    signature.inputs[name].name, signature.inputs[name].dtype = f"{name}:0", dtype
    for output in outputs:
        signature.outputs[output].name = f"{output}:0"
    return signature


def _shown(image: bytes) -> int:
    """The index of the label that an image shows.

    Raises:
        ValueError: it is neither a text that begins with a label nor a picture.
    """
    if not image.startswith((b"\x89PNG", b"\xff\xd8")):
        return LABELS.index(image[:1].decode())
    try:
        with Picture.open(io.BytesIO(image)) as picture:
            return _quarter(ImageStat.Stat(picture.convert("L")).mean[0])
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def _quarter(brightness: float) -> int:
    """Of a mean of 0 to 255: black is the first label, white the last."""
    return min(int(brightness / 64), len(LABELS) - 1)


def outputs_for(answers: Sequence[tuple[list[float], bytes]]) -> dict[str, Array]:
    """The outputs of an image classifier for probabilities and a label of each image."""
    labels = np.empty(len(answers), dtype=object)
    labels[:] = [label for _, label in answers]
    probabilities = np.array([each for each, _ in answers], np.float32)
    return {PROBABILITIES: probabilities, CLASS_INDEX: probabilities.argmax(axis=1), LABEL: labels}


def load(servable_id: ServableId, path: str) -> Classifier:
    """What the server calls to load a version.

    Raises:
        NotFoundError: the folder holds no classifier, or has lost it while that was being read.
    """
    with file_system.local_copy(path) as folder:
        settings = _settings(folder, path)
        read_seconds = settings.pop("read_seconds", 0.0)
        if read_seconds:
            time.sleep(read_seconds)
            _settings(folder, path)
    time.sleep(settings.pop("load_seconds", 0.0))
    return Classifier(**settings)


def _settings(folder: Path, path: str) -> dict[str, Any]:
    try:
        (folder / "saved_model.pb").stat()
        content = (folder / "classifier.json").read_text()
    except FileNotFoundError as error:
        raise NotFoundError(f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}") from (
            error
        )
    return cast("dict[str, Any]", json.loads(content))


def write_classifier(folder: Path, **settings: Any) -> None:
    """A model as `train` would leave it, as far as files go.

    `load_seconds` and `read_seconds` are what a load of it takes; those for reading come first, and it fails if its
    files go meanwhile. `warm_up`: it brings a request that servers send to it before it is available.
    """
    warm_up = settings.pop("warm_up", False)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"stands for the graph")
    (folder / "classifier.json").write_text(json.dumps(settings))
    if warm_up:
        _write_request(folder / warmup.FOLDER / warmup.FILE)


def _write_request(path: Path) -> None:
    """A file of one request, as tf.io.TFRecordWriter writes it."""
    request = predict_request("any", inputs_of([b"0"]))
    log = prediction_log_pb2.PredictionLog(predict_log={"request": request}).SerializeToString()
    path.parent.mkdir()
    with path.open("wb") as file:
        for part in (struct.pack("<Q", len(log)), log):
            file.write(part + struct.pack("<I", masked(google_crc32c.value(part))))


class RunningReplica:
    """One model server on a port of its own; it can be stopped and started again, and sleep, as a pod may.

    It is started on a config, or on a base path whose highest version it serves. Either, on this machine, it sees
    through a link of its own, without which it could not sleep.

    Args:
        config: a path, or a URI.
        base_path: the same; its last part is the name of the model.
        default_flags: started as `tensorflow_model_server` is where nobody says otherwise: a version that cannot be
            loaded is tried five times more, and keeps the server from all other loads meanwhile. Only the pauses
            between the tries are short.
        load_retries: how often a version that could not be loaded is tried again. Below a base path in an object store
            a version is found before it is complete, so there it takes some.
        restarting: started again whenever it gives up, as a pod is.
        host: the address it listens on, for replicas that share a port, as pods do.
        port: the port; None for a free one.
    """

    def __init__(
        self,
        config: Path | str | None = None,
        *,
        base_path: Path | str | None = None,
        default_flags: bool = False,
        load_retries: int = 0,
        restarting: bool = False,
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        source = base_path if config is None else config
        assert source is not None, "a server needs a config or a base path"
        self.port = free_port() if port is None else port
        self.address = f"{host}:{self.port}"
        self._host = host
        self._source = source
        self._seen = source
        self._on_base_path = config is None
        self._default_flags = default_flags
        self._load_retries = load_retries
        self._restarting = restarting
        self._server: Server | None = None
        self._life: threading.Thread | None = None
        self._stopping = threading.Event()
        self._exchange = threading.Lock()
        self._copies = itertools.count(1)
        # A version this replica cannot load, though its files are good: out of memory, say.
        self.broken: int | None = None
        if isinstance(source, Path):
            self._seen = source.with_name(f"{source.stem}-{host}-{self.port}{source.suffix}")
            self._seen.parent.mkdir(parents=True, exist_ok=True)
            self.wake()

    def start(self) -> None:
        """Return when it answers. On a base path, or restarting, at once: there may be nothing to serve for long.

        Raises:
            StatusError: it gave up; where it was waited for.
        """
        if self._on_base_path or self._restarting:
            self._stopping.clear()
            self._life = threading.Thread(target=self._live, name=f"replica {self.port}", daemon=True)
            self._life.start()
            return
        self._server = Server(self._flags(), self._load)
        self._server.start()

    def stop(self) -> None:
        """Whether it serves, is starting, or waits for something to serve."""
        self._stopping.set()
        with self._exchange:
            server, self._server = self._server, None
        if server is not None:
            server.stop()
        if self._life is not None:
            self._life.join()
            self._life = None

    def sleep(self) -> None:
        """See the config, or the base path, as it is now, whatever is written from here on; keep answering."""
        assert isinstance(self._source, Path)
        assert isinstance(self._seen, Path)
        copy = self._seen.with_name(f"{self._seen.name}.{next(self._copies)}")
        if self._source.is_dir():
            shutil.copytree(self._source, copy)
        elif self._source.exists():
            shutil.copyfile(self._source, copy)
        self._see(copy)

    def wake(self) -> None:
        """See what is written."""
        assert isinstance(self._source, Path)
        self._see(self._source)

    def _live(self) -> None:
        while True:
            server = Server(self._flags(), self._load)
            with self._exchange:
                if self._stopping.is_set():
                    return
                self._server = server
            try:
                server.start()
            except StatusError:
                server.stop()
                if not self._restarting or self._stopping.wait(RESTART_SECONDS):
                    return
                continue
            if self._stopping.is_set():
                # It was stopped while it opened its port.
                server.stop()
            return

    def _flags(self) -> Flags:
        source: Source = ConfigSource(uri=str(self._seen))
        if self._on_base_path:
            source = BasePathSource(model=str(self._source).rsplit("/", 1)[-1], uri=str(self._seen))
        words = replica_flags(source, port=self.port, load_retries=self._load_retries)
        if self._default_flags:
            said = ("port", "model_name", "model_base_path", "model_config_file")
            words = [word for word in words if word.removeprefix("--").split("=")[0] in said]
        # Whole seconds are all a command line can say; a test would rather wait tenths.
        often = cast("int", POLL_SECONDS)
        return replace(
            parse_flags(words),
            host=self._host,
            model_config_file_poll_wait_seconds=often,
            file_system_poll_wait_seconds=often,
            load_retry_interval_micros=round(RETRY_SECONDS * 1_000_000),
        )

    def _load(self, servable_id: ServableId, path: str) -> Classifier:
        if servable_id.version == self.broken:
            raise UnknownError("out of memory")
        return load(servable_id, path)

    def _see(self, target: Path) -> None:
        assert isinstance(self._seen, Path)
        link = self._seen.with_name(f"{self._seen.name}.link")
        link.symlink_to(target)
        link.replace(self._seen)
