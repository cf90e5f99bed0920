"""SavedModels: loaded, and answering."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.apis import config_pb2, meta_graph_pb2
from serving.model_server import libtensorflow, metrics, storage
from serving.model_server.monitor import ServableId
from serving.model_server.status import DeadlineExceededError
from serving.wire import Array

# Above it a limit is none: so much fits into upstream's milliseconds, and gRPC says centuries where no deadline is set.
LONGEST_SECONDS = 2**31 / 1000


class SavedModel:
    """A model in memory. `run` may be called from many threads; `close` when none of them is in it."""

    def __init__(self, session: libtensorflow.Session, signatures: Mapping[str, Any]) -> None:
        self.signatures = signatures
        self._session = session

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        return self._session.run(feeds, fetches, options=_run_options(timeout_seconds))

    def close(self) -> None:
        self._session.close()


@dataclass(frozen=True, kw_only=True)
class SavedModelLoader:
    """Called for one version; raises StatusError with the text of TensorFlow's loader."""

    tags: frozenset[str]
    session_config: Any = field(default_factory=config_pb2.ConfigProto)

    def __call__(self, servable_id: ServableId, uri: str) -> SavedModel:  # noqa: ARG002 - as every loader is called
        with storage.local_copy(uri) as path, metrics.load_attempt(uri):
            session = libtensorflow.Session(str(path), tags=self.tags, config=self.session_config.SerializeToString())
        return SavedModel(session, _signatures(session.meta_graph))


def _signatures(meta_graph: bytes) -> dict[str, Any]:
    return dict(meta_graph_pb2.MetaGraphDef.FromString(meta_graph).signature_def)


def _run_options(timeout_seconds: float | None) -> bytes:
    if timeout_seconds is None or timeout_seconds > LONGEST_SECONDS:
        return b""
    if timeout_seconds <= 0:
        raise DeadlineExceededError("the deadline of the request was over before the model was asked")
    return bytes(config_pb2.RunOptions(timeout_in_ms=max(int(timeout_seconds * 1000), 1)).SerializeToString())
