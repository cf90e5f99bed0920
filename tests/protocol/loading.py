"""What a simulated server finds in the bucket: configs, versions, and what comes of loading one."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from google.protobuf import text_format

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK
from serving.apis import model_server_config_pb2
from serving.canary import LABEL, PROBABILITIES
from serving.model_server.source import select
from serving.model_server.status import InvalidArgumentError, NotFoundError, StatusError, UnknownError
from serving.wire import Array
from tests.fleet import Classifier

ReadConfig = Callable[[], bytes | None]


@dataclass(frozen=True)
class Load:
    """What loading a version takes, in seconds, and what comes of it."""

    seconds: float
    result: Classifier | StatusError


@dataclass(frozen=True)
class Found:
    """The versions to serve, and their paths. `lasting`: another look finds the same, whatever else is uploaded."""

    versions: Mapping[int, str]
    lasting: bool


def config_reader(bucket: Bucket, model: str) -> ReadConfig:
    """What a server that polls the model's config sees now; None where there is no such file."""
    key = layout.config(model)

    def read() -> bytes | None:
        try:
            return bucket.read(key)
        except MissingError:
            return None

    return read


@lru_cache(maxsize=4096)
def parse(text: bytes) -> model_server_config_pb2.ModelServerConfig | None:
    """The config, which nobody may change; None for one that does not parse."""
    try:
        return text_format.Parse(text.decode(), model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError):
        return None


def answer(classifier: Classifier, images: Sequence[bytes]) -> dict[str, Array]:
    """What `Classifier.run` gives for them, without its sleep: one of no length costs more than all the rest."""
    try:
        answers = [classifier.answer(image) for image in images]
    except ValueError as error:
        raise InvalidArgumentError("Unknown image file format.") from error
    labels = np.empty(len(answers), dtype=object)
    labels[:] = [label for _, label in answers]
    return {LABEL: labels, PROBABILITIES: np.array([each for each, _ in answers], np.float32)}


class ModelFiles:
    """The bucket as one server sees it. Nothing is ever deleted there, so what was found once stays."""

    def __init__(self, bucket: Bucket, *, load_seconds: float) -> None:
        self._bucket = bucket
        self._root = bucket.uri()
        self._load_seconds = load_seconds

    def find(self, model: model_server_config_pb2.ModelConfig) -> Found | None:
        """What the policy of a ModelConfig finds; None where nothing lies below its base path."""
        names = self._bucket.names(self._key(model.base_path))
        if not names:
            return None
        policy = model.model_version_policy
        base = model.base_path.rstrip("/")
        versions = {version: f"{base}/{child}" for version, child in select(policy, names).items()}
        lasting = policy.WhichOneof("policy_choice") == "specific" and versions.keys() >= set(policy.specific.versions)
        return Found(versions, lasting)

    def load(self, version: int, path: str, *, broken: Collection[int]) -> Load:
        """Load as `tests.fleet.load` does, and refuse a folder whose upload is unfinished as TensorFlow does."""
        if version in broken:
            return Load(self._load_seconds, UnknownError("out of memory"))
        try:
            self._bucket.read(f"{self._key(path)}/{MARK}")
            content = self._bucket.read(f"{self._key(path)}/classifier.json")
        except MissingError:
            told = f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
            return Load(0.0, NotFoundError(told))
        return _load(content, self._load_seconds)

    def _key(self, path: str) -> str:
        return path.rstrip("/").removeprefix(self._root).strip("/")


@lru_cache(maxsize=4096)
def _load(content: bytes, seconds: float) -> Load:
    try:
        settings = json.loads(content)
        seconds = settings.pop("load_seconds", seconds)
        # How long an answer takes is not simulated.
        return Load(seconds, Classifier(**(settings | {"milliseconds": 0.0})))
    except Exception as problem:  # noqa: BLE001 - whatever a bad model does is that model's error, as in the server
        return Load(0.0, UnknownError(f"{type(problem).__name__}: {problem}"))
