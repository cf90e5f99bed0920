"""A SavedModel of the local disk, in memory and ready to be run."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.apis import config_pb2, meta_graph_pb2
from serving.status import DeadlineExceededError
from serving.tensorflow.session import Session
from serving.wire import Array

# The tag of the graph that servers load (`kSavedModelTagServe` in tensorflow/cc/saved_model/tag_constants.h).
SERVE = "serve"

# Above it a limit is none: so much fits into upstream's milliseconds, and gRPC says centuries where no deadline is set.
LONGEST_SECONDS = 2**31 / 1000


class SavedModel:
    """A model in memory. `run` may be called from many threads; `close` when none of them is in it."""

    def __init__(self, session: Session) -> None:
        """Take over a session; `signatures` are the SignatureDefs of its meta graph, by name."""
        self.signatures: Mapping[str, Any] = dict(
            meta_graph_pb2.MetaGraphDef.FromString(session.meta_graph).signature_def
        )
        self._session = session

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        """Compute tensors from tensors, all by their names in the graph, such as `x:0`.

        Raises:
            StatusError: TensorFlow's error; DEADLINE_EXCEEDED when it takes longer than `timeout_seconds`.
        """
        return self._session.run(feeds, fetches, options=_run_options(timeout_seconds))

    def close(self) -> None:
        """Free the memory; a second call does nothing."""
        self._session.close()


def open_session(path: Path, *, tags: Collection[str] = (SERVE,), session_config: Any | None = None) -> Session:
    """Load the graph with exactly these tags and restore its variables.

    Args:
        path: the folder of the SavedModel.
        tags: of the meta graph.
        session_config: a ConfigProto; TensorFlow's defaults without one.

    Raises:
        StatusError: with the text of TensorFlow's loader.
    """
    config = session_config if session_config is not None else config_pb2.ConfigProto()
    return Session(str(path), tags=tags, config=config.SerializeToString())


def _run_options(timeout_seconds: float | None) -> bytes:
    if timeout_seconds is None or timeout_seconds > LONGEST_SECONDS:
        return b""
    if timeout_seconds <= 0:
        raise DeadlineExceededError("the deadline of the request was over before the model was asked")
    return bytes(config_pb2.RunOptions(timeout_in_ms=max(int(timeout_seconds * 1000), 1)).SerializeToString())
