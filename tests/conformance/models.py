"""SavedModels made of protocol messages, without TensorFlow's Python; TensorFlow's C library writes the variable.

    serving_default   y = x * factor              x, y: float, any shape
    same              y = x                       count: the number of values in x
    qint8             y = q                       of type qint8
    gate              y = path; it first writes into the named pipes `path`.reached and `path`, and waits for readers
    regress           outputs = x * factor        of the feature `x` of each Example
    classify          classes, scores             the features `label` and `x`

The factor is a constant times a variable that is 1: without its files every answer of `serving_default` is an error.
"""

import struct
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from serving.apis import meta_graph_pb2, predict_pb2, prediction_log_pb2, saved_model_pb2, tensor_pb2, types_pb2
from serving.inference import warmup
from serving.inference.tfrecord import masked
from serving.tensorflow.session import Session
from serving.wire import to_proto

FLOAT, STRING, QINT8, INT32, RESOURCE = (
    types_pb2.DT_FLOAT,
    types_pb2.DT_STRING,
    types_pb2.DT_QINT8,
    types_pb2.DT_INT32,
    types_pb2.DT_RESOURCE,
)
PREDICT, REGRESS, CLASSIFY = (f"tensorflow/serving/{verb}" for verb in ("predict", "regress", "classify"))
VARIABLE = "one"
# Any of TensorFlow 2 will do: below, some operations mean something else.
_PRODUCER = 1000


class Graph:
    """A MetaGraphDef to which nodes and signatures are added."""

    def __init__(self) -> None:
        self.meta = meta_graph_pb2.MetaGraphDef()
        self.meta.meta_info_def.tags.append("serve")
        self.meta.graph_def.versions.producer = _PRODUCER

    def node(self, name: str, op: str, *inputs: str, **attributes: Any) -> str:
        node = self.meta.graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            _set_attribute(node.attr[key], value)
        return f"{name}:0"

    def constant(self, name: str, value: Any) -> str:
        tensor = to_proto(np.array(value, np.object_ if isinstance(value, bytes | list) else np.float32))
        return self.node(name, "Const", dtype=tensor.dtype, value=tensor)

    def signature(self, name: str, method: str, inputs: dict[str, str], outputs: dict[str, str]) -> None:
        signature = self.meta.signature_def[name]
        signature.method_name = method
        for infos, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
            for alias, tensor in tensors.items():
                infos[alias].name = tensor
                infos[alias].dtype = _TYPES.get(tensor, FLOAT)
                infos[alias].tensor_shape.unknown_rank = True

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        whole = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[self.meta])
        (folder / "saved_model.pb").write_bytes(whole.SerializeToString())


_TYPES = {
    "q:0": QINT8, "q_same:0": QINT8, "path:0": STRING, "passed:0": STRING, "examples:0": STRING, "parse:1": STRING,
    "size:0": INT32,
}  # fmt: skip


def _set_attribute(attribute: Any, value: Any) -> None:
    match value:
        case int():
            attribute.type = value
        case bytes():
            attribute.s = value
        case tensor_pb2.TensorProto():
            attribute.tensor.CopyFrom(value)
        case list():
            attribute.list.type.extend(value)
        case _:
            attribute.MergeFrom(value)


def _attribute(**fields: Any) -> Any:
    return type(meta_graph_pb2.MetaGraphDef().graph_def.node.add().attr["_"])(**fields)


def write_model(folder: Path, *, factor: float, warm_up: Sequence[bytes] = ()) -> None:
    """Write the model described above, with these records to warm up with."""
    graph = Graph()
    graph.node("x", "Placeholder", dtype=FLOAT)
    graph.node("q", "Placeholder", dtype=QINT8)
    graph.node("path", "Placeholder", dtype=STRING)
    graph.node("examples", "Placeholder", dtype=STRING)
    _add_variable(graph)
    graph.constant("constant", factor)
    graph.node("factor", "Mul", "constant", "value", T=FLOAT)
    graph.node("y", "Mul", "x", "factor", T=FLOAT)
    graph.node("same", "Identity", "x", T=FLOAT)
    graph.node("size", "Size", "x", T=FLOAT, out_type=INT32)
    graph.node("q_same", "Identity", "q", T=QINT8)
    graph.constant("suffix", b".reached")
    graph.constant("word", b"x")
    graph.node("reached", "StringJoin", "path", "suffix", N=_attribute(i=2))
    graph.node("write_reached", "WriteFile", "reached", "word")
    graph.node("write", "WriteFile", "path", "word", "^write_reached")
    graph.node("passed", "Identity", "path", "^write", T=STRING)
    _add_examples(graph)
    graph.signature("serving_default", PREDICT, {"x": "x:0"}, {"y": "y:0"})
    graph.signature("same", PREDICT, {"x": "x:0"}, {"y": "same:0"})
    graph.signature("count", PREDICT, {"x": "x:0"}, {"y": "size:0"})
    graph.signature("qint8", PREDICT, {"q": "q:0"}, {"y": "q_same:0"})
    graph.signature("gate", PREDICT, {"path": "path:0"}, {"y": "passed:0"})
    graph.signature("regress", REGRESS, {"inputs": "examples:0"}, {"outputs": "scores:0"})
    graph.signature("classify", CLASSIFY, {"inputs": "examples:0"}, {"classes": "parse:1", "scores": "scores:0"})
    graph.save(folder)
    (folder / "variables").mkdir()
    for name, content in _checkpoint().items():
        (folder / "variables" / name).write_bytes(content)
    if warm_up:
        write_warm_up(folder, warm_up)


def _add_variable(graph: Graph) -> None:
    """A variable and how it is restored, as an exporter of TensorFlow 2 writes it."""
    scalar = _attribute(shape={})
    graph.node("variable", "VarHandleOp", dtype=FLOAT, shape=scalar, shared_name=VARIABLE.encode(), container=b"")
    graph.node("value", "ReadVariableOp", "variable", dtype=FLOAT)
    graph.node("file", "Placeholder", dtype=STRING, shape=scalar)
    graph.constant("names", [VARIABLE.encode()])
    graph.constant("slices", [b""])
    graph.node("restored", "RestoreV2", "file", "names", "slices", dtypes=[FLOAT])
    graph.node("assign", "AssignVariableOp", "variable", "restored", dtype=FLOAT)
    graph.node("restore", "NoOp", "^assign")
    saver = graph.meta.saver_def
    saver.filename_tensor_name, saver.restore_op_name, saver.save_tensor_name = "file:0", "restore", "file:0"
    saver.version = saver.V2


def _add_examples(graph: Graph) -> None:
    for name, content in (("no_names", []), ("key_x", b"x"), ("key_label", b"label"), ("no_label", [b""])):
        graph.constant(name, content)
    required = tensor_pb2.TensorProto(dtype=FLOAT)
    required.tensor_shape.dim.add(size=0)
    graph.node("required", "Const", dtype=FLOAT, value=required)
    graph.node(
        *("parse", "ParseExample", "examples", "no_names", "key_x", "key_label", "required", "no_label"),
        Nsparse=_attribute(i=0),
        Ndense=_attribute(i=2),
        sparse_types=_attribute(list={}),
        Tdense=[FLOAT, STRING],
        dense_shapes=_attribute(list={"shape": [{"dim": [{"size": 1}]}] * 2}),
    )
    graph.node("scores", "Mul", "parse:0", "factor", T=FLOAT)


@cache
def _checkpoint() -> dict[str, bytes]:
    """The files of the variable, written by a model that saves."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Graph()
        graph.node("prefix", "Placeholder", dtype=STRING, shape=_attribute(shape={}))
        graph.constant("names", [VARIABLE.encode()])
        graph.constant("slices", [b""])
        graph.constant("value", 1.0)
        graph.node("save", "SaveV2", "prefix", "names", "slices", "value", dtypes=[FLOAT])
        graph.node("saved", "Identity", "prefix", "^save", T=STRING)
        graph.save(Path(folder, "saver"))
        session = Session(f"{folder}/saver", tags=["serve"], config=b"")
        try:
            session.run({"prefix:0": np.array(f"{folder}/variables".encode(), np.object_)}, ["saved:0"])
        finally:
            session.close()
        return {path.name: path.read_bytes() for path in Path(folder).glob("variables.*")}


def write_warm_up(folder: Path, records: Sequence[bytes]) -> None:
    file = folder / warmup.FOLDER / warmup.FILE
    file.parent.mkdir()
    file.write_bytes(b"".join(_record(each) for each in records))


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    parts = (length, _checksum(length), content, _checksum(content))
    return b"".join(parts)


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked(google_crc32c.value(content)))


def warm_up_record(signature: str, **inputs: Any) -> bytes:
    """A Predict request for a warm-up file."""
    request: Any = predict_pb2.PredictRequest(model_spec={"name": "any", "signature_name": signature})
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tensor(value))
    log: Any = prediction_log_pb2.PredictionLog(predict_log={"request": request})
    return bytes(log.SerializeToString())


def tensor(value: Any) -> Any:
    """A TensorProto of floats, or of a text; a TensorProto stays as it is."""
    if isinstance(value, tensor_pb2.TensorProto):
        return value
    return to_proto(np.array(value.encode(), np.object_) if isinstance(value, str) else np.array(value, np.float32))
