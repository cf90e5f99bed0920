"""Reply bodies, laid out byte for byte as TensorFlow Serving's JSON writer lays them out."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from serving.apis import types_pb2
from serving.rest_json.json_numbers import decimals
from serving.rest_json.json_tensors import FLOATS, INTEGERS
from serving.rest_json.json_values import ENCODING, c_string, quoted
from serving.rest_json.predict_request import JsonPredictFormat
from serving.status import InvalidArgumentError
from serving.type_names import dtype_name
from serving.wire import from_proto

INDENT = "    "


def predict_response(outputs: Mapping[str, Any], form: JsonPredictFormat) -> bytes:
    """The body for the TensorProtos of a PredictResponse; an output whose name ends in `_bytes` is written as base64.

    Raises InvalidArgumentError for a type JSON has no form for, and in row format where the first dimensions differ.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    values = [_Output(c_string(alias), proto) for alias, proto in sorted(outputs.items())]
    return _rows(values) if form is JsonPredictFormat.ROW else _columns(values)


def classification_response(result: Any) -> bytes:
    if not result.classifications:
        raise InvalidArgumentError("Cannot convert empty ClassificationResults to JSON")
    scores = np.array([known.score for one in result.classifications for known in one.classes], np.float32)
    texts = iter(decimals(scores))
    items = [
        "[" + ", ".join(f"[{quoted(known.label)}, {next(texts)}]" for known in one.classes) + "]"
        for one in result.classifications
    ]
    return _document("results", f"[{', '.join(items)}\n{INDENT}]")


def regression_response(result: Any) -> bytes:
    if not result.regressions:
        raise InvalidArgumentError("Cannot convert empty RegressionResults to JSON")
    values = np.array([one.value for one in result.regressions], np.float32)
    return _document("results", f"[{', '.join(decimals(values))}]")


def error_body(message: str) -> bytes:
    return _document("error", quoted(message))


def _document(key: str, value: str) -> bytes:
    return f"{{\n{INDENT}{quoted(key)}: {value}\n}}".encode(*ENCODING)


@dataclass(frozen=True)
class _Output:
    name: str
    proto: Any

    @property
    def shape(self) -> list[int]:
        return [dim.size for dim in self.proto.tensor_shape.dim]

    def texts(self, depth: int) -> list[str]:
        """Every value as it is written; base64 objects are broken into lines, `depth` deep."""
        if not prod(self.shape):
            return []
        dtype = self.proto.dtype
        if dtype not in (*FLOATS, *INTEGERS, types_pb2.DT_STRING, types_pb2.DT_BOOL):
            raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {dtype_name(dtype)}")
        array = from_proto(self.proto).reshape(-1)
        if dtype in FLOATS:
            return decimals(array)
        if dtype == types_pb2.DT_BOOL:
            return ["true" if value else "false" for value in array]
        if dtype == types_pb2.DT_STRING:
            return [self._string(value, depth) for value in array]
        return list(map(str, array.tolist()))

    def _string(self, value: bytes, depth: int) -> str:
        if not self.name.endswith("_bytes"):
            return quoted(value.decode(*ENCODING))
        return f'{{{_line(depth + 1)}"b64": "{b64encode(value).decode()}"{_line(depth)}}}'


def _rows(outputs: Sequence[_Output]) -> bytes:
    """One entry per row: the value of the only output, or an object of all."""
    size = _batch_size(outputs)
    depth = 2 if len(outputs) == 1 else 3
    columns = []
    for output in outputs:
        shape = output.shape
        columns.append(_on_one_line(output.texts(depth + len(shape) - 1), shape))
    if len(outputs) == 1:
        rows = ", ".join(columns[0])
    else:
        names = [quoted(output.name) for output in outputs]
        rows = ",".join(_object(names, values) for values in zip(*columns, strict=True))
    return _document("predictions", f"[{rows}{_line(1) if size else ''}]")


def _object(names: list[str], values: tuple[str, ...]) -> str:
    members = (f"{_line(3)}{name}: {value}" for name, value in zip(names, values, strict=True))
    return f"{_line(2)}{{{','.join(members)}{_line(2)}}}"


def _batch_size(outputs: Sequence[_Output]) -> int:
    size = None
    for output in outputs:
        if not output.shape:
            raise InvalidArgumentError(f"Tensor name: {output.name} has no shape information ")
        if size not in (None, output.shape[0]):
            raise InvalidArgumentError(
                f"Tensor name: {output.name} has inconsistent batch size: {output.shape[0]} expecting: {size}"
            )
        size = output.shape[0]
    assert size is not None
    return size


def _on_one_line(texts: list[str], shape: list[int]) -> list[str]:
    """One text per row, the dimensions behind the first in brackets."""
    for axis in range(len(shape) - 1, 0, -1):
        texts = [f"[{', '.join(part)}]" for part in _parts(texts, shape, axis)]
    return texts


def _columns(outputs: Sequence[_Output]) -> bytes:
    if len(outputs) == 1:
        return _document("outputs", _over_lines(outputs[0], 1))
    members = (f"{_line(2)}{quoted(output.name)}: {_over_lines(output, 2)}" for output in outputs)
    return _document("outputs", f"{{{','.join(members)}{_line(1)}}}")


def _over_lines(output: _Output, depth: int) -> str:
    """The whole tensor, each value and each bracket on a line of its own."""
    shape = output.shape
    texts = output.texts(depth + len(shape))
    for axis in range(len(shape) - 1, -1, -1):
        inner, outer = _line(depth + axis + 1), _line(depth + axis)
        parts = _parts(texts, shape, axis)
        texts = [f"[{inner}{f',{inner}'.join(part)}{outer}]" if part else "[]" for part in parts]
    return texts[0]


def _parts(texts: list[str], shape: list[int], axis: int) -> list[list[str]]:
    """The texts in groups along one axis; as many groups as the axes before it make."""
    size = shape[axis]
    return [texts[part * size : (part + 1) * size] for part in range(prod(shape[:axis]))]


def _line(depth: int) -> str:
    return "\n" + INDENT * depth
