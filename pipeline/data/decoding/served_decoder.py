"""Decode an image with the operation that decodes it in the served graph, without TensorFlow's Python.

TensorFlow's C library starts within a second and decodes as fast as Pillow, so what is stored is decoded by the real
thing. What is damaged is then found here, and not by a training or a server.
"""

import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from serving.apis import config_pb2, saved_model_pb2, types_pb2
from serving.status import StatusError
from serving.tensorflow.saved_model import SERVE, open_session
from serving.tensorflow.session import LOADING, Session

_SCHEMA = 1
# The version of the graph format, as TensorFlow 2.21 writes it. Any that its library reads would do.
_PRODUCER = 1882
_CONTENT = "content"
_starting = threading.Lock()


class UndecodableError(Exception):
    """TensorFlow cannot decode an image; the text is its reason."""


def decoded_shape(content: bytes, *, channels: int) -> tuple[int, int, int]:
    """Decode a PNG or JPEG; its height, width and channels. Safe to use from many threads.

    Args:
        content: the file. Its size in pixels must have been checked before.
        channels: to decode to, 1 or 3.

    Raises:
        UndecodableError: a server could not decode it either.
    """
    with _starting:
        session = _session()
    fed = np.array(content, dtype=np.object_)
    try:
        # In the thread of the caller, where `LOADING` says that it runs: handing over would cost as much as decoding.
        (shape,) = session.run({f"{_CONTENT}:0": fed}, [f"shape_{channels}:0"], options=LOADING)
    except StatusError as error:
        raise UndecodableError(str(error).splitlines()[0]) from error
    height, width, depth = shape.tolist()
    return height, width, depth


@cache
def _session() -> Session:
    """The one session of this process. It lives as long as the process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "saved_model.pb").write_bytes(graph().SerializeToString())
        # Many threads decode, each its own image. A GPU cannot decode, and is left to the training.
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        config.device_count["GPU"] = 0
        return open_session(Path(folder), session_config=config)


def graph() -> Any:
    """A SavedModel that decodes as `pipeline.training.preprocessing` does; a test compares the two."""
    saved_model = saved_model_pb2.SavedModel(saved_model_schema_version=_SCHEMA)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(SERVE)
    nodes = meta_graph.graph_def
    nodes.versions.producer = _PRODUCER
    content = nodes.node.add(name=_CONTENT, op="Placeholder")
    content.attr["dtype"].type = types_pb2.DT_STRING
    content.attr["shape"].shape.SetInParent()
    for channels in (1, 3):
        decode = nodes.node.add(name=f"decode_{channels}", op="DecodeImage", input=[_CONTENT])
        decode.attr["channels"].i = channels
        decode.attr["dtype"].type = types_pb2.DT_UINT8
        decode.attr["expand_animations"].b = False
        shape = nodes.node.add(name=f"shape_{channels}", op="Shape", input=[decode.name])
        shape.attr["T"].type = types_pb2.DT_UINT8
        shape.attr["out_type"].type = types_pb2.DT_INT32
    return saved_model
