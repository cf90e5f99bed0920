"""SavedModels, loaded and run as TensorFlow's C++ loader does it: a graph, a session, its initialisers.

The only module here that uses TensorFlow, and it imports it when the first model is loaded. `tf.saved_model.load`
is not used: it rebuilds Python objects nobody needs, and refuses what the C++ loader takes, such as a model whose
variables are missing.
"""

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from serving.model_server import storage, warmup
from serving.model_server.monitor import ServableId
from serving.model_server.status import CODE_BY_NUMBER, DataLossError, InvalidArgumentError, NotFoundError, StatusError
from serving.wire import Array

INIT_SIGNATURE = "__saved_model_init_op"
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
# The length of a TFRecord's record and two checksums.
RECORD_OVERHEAD = 16

logger = logging.getLogger(__name__)


def import_tensorflow() -> None:
    """Pay for the import ahead of the first load, and take its objects out of every later garbage collection."""
    import tensorflow as tf

    logger.info("TensorFlow %s is ready", tf.__version__)
    gc.freeze()


@contextmanager
def _tensorflow_errors() -> Iterator[None]:
    """TensorFlow's exceptions as ours, with the words of its runtime and not of its Python wrapper."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        cause = error.__context__ if isinstance(error.__context__, tf.errors.OpError) else error
        code = CODE_BY_NUMBER.get(error.error_code)
        kind = DataLossError if isinstance(error, tf.errors.DataLossError) else StatusError
        raise kind(cause.message, code) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgumentError(str(error)) from error


class SavedModel:
    """A model in memory. `run` may be called from many threads; after `close` not at all."""

    def __init__(self, session: Any, signatures: Mapping[str, Any]) -> None:
        self.signatures = signatures
        self._session = session
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None  # noqa: ARG002
    ) -> list[Array]:
        key = tuple(feeds), tuple(fetches)
        with _tensorflow_errors():
            if key not in self._callables:
                self._callables[key] = self._session.make_callable(list(fetches), feed_list=list(feeds))
            return [np.asarray(array) for array in self._callables[key](*feeds.values())]

    def close(self) -> None:
        """Give the memory back: now, not when Python's collector comes by."""
        self._callables.clear()
        self._session.close()
        self._session = None
        gc.collect()


@dataclass(frozen=True, kw_only=True)
class SavedModelLoader:
    """Called by the manager for one version; raises StatusError with the text of the C++ loader."""

    tags: frozenset[str]
    warm_up: bool = True
    intra_op_threads: int = 0
    inter_op_threads: int = 0

    def __call__(self, servable_id: ServableId, uri: str) -> SavedModel:
        path = storage.local(uri)
        meta_graph = find_meta_graph(read_saved_model(path), self.tags)
        with _tensorflow_errors():
            model = SavedModel(self._session(meta_graph, path), dict(meta_graph.signature_def))
        try:
            if self.warm_up:
                _warm_up(model, path, servable_id)
        except BaseException:
            model.close()
            raise
        return model

    def _session(self, meta_graph: Any, path: Path) -> Any:
        import tensorflow as tf

        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(meta_graph.graph_def, name="")
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=self.intra_op_threads,
            inter_op_parallelism_threads=self.inter_op_threads,
            allow_soft_placement=True,
        )
        session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            _restore(session, meta_graph, path)
        except BaseException:
            session.close()
            raise
        return session


def read_saved_model(path: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    binary, text = path / "saved_model.pb", path / "saved_model.pbtxt"
    saved_model = saved_model_pb2.SavedModel()
    try:
        if binary.exists():
            saved_model.ParseFromString(binary.read_bytes())
            return saved_model
        if text.exists():
            return text_format.Parse(text.read_text("utf-8"), saved_model)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise DataLossError(f"Can't parse {binary} as binary proto") from error
    raise NotFoundError(
        f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. "
        "Check that the directory exists and that you have the right permissions for accessing it."
    )


def find_meta_graph(saved_model: Any, tags: frozenset[str]) -> Any:
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == tags:
            return meta_graph
    raise NotFoundError(
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(sorted(tags))} }}. "
        "To inspect available tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
    )


def _restore(session: Any, meta_graph: Any, path: Path) -> None:
    """Variables first, then the initialisers; without an index there are no variables, and that is no error here."""
    assets = {each.tensor_info.name: str(path / "assets" / each.filename) for each in meta_graph.asset_file_def}
    variables = path / "variables" / "variables"
    if variables.with_suffix(".index").exists():
        saver = meta_graph.saver_def
        session.run(saver.restore_op_name, {saver.filename_tensor_name: str(variables), **assets})
    else:
        logger.info("The specified SavedModel has no variables; no checkpoints were restored: %s", path)
    init = _init_operation(meta_graph)
    if init:
        session.run(init, assets)


def _init_operation(meta_graph: Any) -> str:
    if INIT_SIGNATURE in meta_graph.signature_def:
        return str(meta_graph.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name)
    for collection in INIT_COLLECTIONS:
        if collection in meta_graph.collection_def:
            return str(meta_graph.collection_def[collection].node_list.value[0])
    return ""


def _warm_up(model: SavedModel, path: Path, servable_id: ServableId) -> None:
    requests = path / warmup.REQUESTS
    if requests.exists():
        count = warmup.warm_up(model, _records(requests), path=requests)
        logger.info("model %s version %d: %d warm-up requests answered", *servable_id, count)


def _records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file; TensorFlow's Python reader would take a record cut short for the end."""
    import tensorflow as tf

    position = 0
    with _tensorflow_errors():
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            yield record
            position += len(record) + RECORD_OVERHEAD
    if position != path.stat().st_size:
        raise DataLossError(f"truncated record at {position}")
