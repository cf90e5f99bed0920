"""A SavedModel that multiplies by a number, written without TensorFlow: a model server loads it in milliseconds."""

import struct
from pathlib import Path
from typing import Any

import google_crc32c

from serving.apis import predict_pb2, prediction_log_pb2, saved_model_pb2, types_pb2
from serving.inference.tfrecord import masked
from serving.inference.warmup import FILE, FOLDER
from tests.serving.model_server.world import floats


def write_saved_model(folder: Path, *, factor: float = 2.0) -> None:
    """`y = factor * x` for any number of rows, with one warm-up request."""
    saved_model: Any = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    _write_graph(meta_graph.graph_def, factor)
    signature = meta_graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for tensors, name in ((signature.inputs, "x"), (signature.outputs, "y")):
        tensors[name].name, tensors[name].dtype = f"{name}:0", types_pb2.DT_FLOAT
        tensors[name].tensor_shape.dim.add(size=-1)
    folder.mkdir(parents=True)
    _write_warm_up(folder / FOLDER / FILE)
    # Last: a server may look at the folder at any moment.
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())


def request(model: str, *, rows: int = 1) -> Any:
    return predict_pb2.PredictRequest(model_spec={"name": model}, inputs={"x": floats([1.0] * rows, [rows])})


def _write_graph(graph: Any, factor: float) -> None:
    x = graph.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = types_pb2.DT_FLOAT
    x.attr["shape"].shape.dim.add(size=-1)
    constant = graph.node.add(name="factor", op="Const")
    constant.attr["dtype"].type = types_pb2.DT_FLOAT
    constant.attr["value"].tensor.CopyFrom(floats([factor], []))
    product = graph.node.add(name="y", op="Mul", input=["x", "factor"])
    product.attr["T"].type = types_pb2.DT_FLOAT


def _write_warm_up(path: Path) -> None:
    """A file of one request, as tf.io.TFRecordWriter writes it."""
    log = prediction_log_pb2.PredictionLog(predict_log={"request": request("any")}).SerializeToString()
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for part in (struct.pack("<Q", len(log)), log):
            file.write(part + struct.pack("<I", masked(google_crc32c.value(part))))
