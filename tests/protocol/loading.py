"""What a simulated server finds in the bucket: configs, versions, and what comes of loading one."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf import text_format

from pipeline.errors import MissingError
from pipeline.storage.bucket import Bucket
from pipeline.storage.memory import MemoryBucket
from pipeline.storage.sums import MARK
from serving.apis import model_server_config_pb2
from serving.model_server.lifecycle.storage_path_source import select
from serving.status import InvalidArgumentError, NotFoundError, StatusError, UnknownError
from serving.wire import Array
from tests.fleet import Classifier, outputs_for

ReadConfig = Callable[[], bytes | None]


@dataclass(frozen=True)
class Load:
    """What a try to load a version takes, in seconds, and what has come of it when they are over."""

    seconds: float
    result: Callable[[], Classifier | StatusError]


def config_reader(bucket: Bucket, key: str) -> ReadConfig:
    """What a server that polls the config under this key sees now; None where there is no such file."""

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
    return outputs_for(answers)


class ModelFiles:
    """The bucket as one server sees it.

    Attributes:
        folders_stay: a base path whose last version has gone is still there, as on a disk, or in a bucket for as long
            as the server remembers to have seen it. Else it is missing, which a server takes for a storage that fails.
    """

    def __init__(self, bucket: Bucket, *, load_seconds: float) -> None:
        self.folders_stay = True
        self._bucket = self._seen = bucket
        self._root = bucket.uri()
        self._load_seconds = load_seconds
        self._were_there: set[str] = set()

    def freeze(self, folder: str) -> None:
        """See what is in the folder now, and only that, whatever becomes of it."""
        seen = MemoryBucket()
        for name in self._bucket.names(folder):
            for path in self._bucket.checksums(f"{folder}/{name}"):
                key = f"{folder}/{name}/{path}"
                seen.create(key, self._bucket.read(key))
        self._seen = seen

    def thaw(self) -> None:
        self._seen = self._bucket

    def find(self, model: model_server_config_pb2.ModelConfig) -> Mapping[int, str] | None:
        """The versions that the policy of a ModelConfig finds, and their paths; None where there is no base path."""
        base = model.base_path.rstrip("/")
        key = self._key(base)
        names = self._seen.names(key)
        if names:
            self._were_there.add(key)
        elif not self.folders_stay or key not in self._were_there:
            return None
        return {version: f"{base}/{child}" for version, child in select(model.model_version_policy, names).items()}

    def load(self, version: int, path: str, *, broken: Collection[int]) -> Load:
        """Load as `tests.fleet.load` does."""
        if version in broken:
            return Load(self._load_seconds, lambda: UnknownError("out of memory"))
        load = self._read(path)
        if not load.read_seconds:
            return Load(load.seconds, lambda: load.result)
        return Load(load.seconds, lambda: self._read(path).result)

    def _read(self, path: str) -> "_Read":
        try:
            self._seen.read(f"{self._key(path)}/{MARK}")
            content = self._seen.read(f"{self._key(path)}/classifier.json")
        except MissingError:
            told = f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
            return _Read(NotFoundError(told))
        return _classifier(content, self._load_seconds)

    def _key(self, path: str) -> str:
        return path.rstrip("/").removeprefix(self._root).strip("/")


@dataclass(frozen=True)
class _Read:
    """`read_seconds`: those of the load in which its files are still being read, and may go."""

    result: Classifier | StatusError
    seconds: float = 0.0
    read_seconds: float = 0.0


@lru_cache(maxsize=4096)
def _classifier(content: bytes, seconds: float) -> _Read:
    try:
        settings = json.loads(content)
        read_seconds = settings.pop("read_seconds", 0.0)
        seconds = settings.pop("load_seconds", seconds) + read_seconds
        # How long an answer takes is not simulated.
        return _Read(Classifier(**(settings | {"milliseconds": 0.0})), seconds, read_seconds)
    except Exception as problem:  # noqa: BLE001 - whatever a bad model does is that model's error, as in the server
        return _Read(UnknownError(f"{type(problem).__name__}: {problem}"))
