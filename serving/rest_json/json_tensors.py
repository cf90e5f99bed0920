"""Tensors out of JSON values: the whole at once where it is well formed, element by element for the exact complaint."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from serving.apis import tensor_pb2, types_pb2
from serving.rest_json.json_values import ENCODING, Members, described, type_name
from serving.status import InvalidArgumentError, StatusError, UnimplementedError
from serving.type_names import dtype_name
from serving.wire import KINDS

_INT32 = range(-(2**31), 2**31)
# The small integers are checked as int32 only: what does not fit wraps round, as in TensorFlow Serving.
INTEGERS = {
    types_pb2.DT_INT8: _INT32,
    types_pb2.DT_UINT8: _INT32,
    types_pb2.DT_INT16: _INT32,
    types_pb2.DT_INT32: _INT32,
    types_pb2.DT_UINT32: range(2**32),
    types_pb2.DT_INT64: range(-(2**63), 2**63),
    types_pb2.DT_UINT64: range(2**64),
}
FLOATS = (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE)

_PADDED = re.compile(rb"([A-Za-z0-9+/]*)([=.]*)")


@dataclass(frozen=True)
class Dense:
    """The scalars of nested lists, one after the other, and the shape those lists have."""

    shape: list[int]
    leaves: list[Any]

    def proto(self, dtype: int) -> Any:
        """The TensorProto; raises StatusError for a scalar that is not of the type."""
        proto = tensor_pb2.TensorProto(dtype=dtype)
        for size in self.shape:
            proto.tensor_shape.dim.add(size=size)
        if _are_numbers(self.leaves, dtype):
            proto.tensor_content = _packed(self.leaves, dtype)
        elif self.leaves:
            values = [scalar(leaf, dtype) for leaf in self.leaves]
            getattr(proto, KINDS[dtype].field).extend(values)
        return proto


def dense(value: Any) -> Dense | None:
    """None when the lists are ragged, or hold lists beside scalars."""
    shape, level = [], [value]
    while set(map(type, level)) == {list}:
        sizes = set(map(len, level))
        if len(sizes) > 1:
            return None
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return None if list in set(map(type, level)) else Dense(shape, level)


def tensor(value: Any, dtype: int) -> Any:
    """The TensorProto of a JSON value; raises StatusError with TensorFlow Serving's words where that is impossible."""
    whole = dense(value)
    if whole is not None:
        return whole.proto(dtype)
    shape = shape_of(value)
    return Dense(shape, leaves_of(value, shape, dtype)).proto(dtype)


def shape_of(value: Any) -> list[int]:
    """The shape the first elements suggest; whether the others have it too is for `leaves_of` to say."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def leaves_of(value: Any, shape: list[int], dtype: int) -> list[Any]:
    """The scalars of the value in order, each checked; raises StatusError at the first thing out of place."""
    rank, leaves = len(shape), []
    levels: list[Iterator[Any]] = [iter([value])]
    while levels:
        level = len(levels) - 1
        for item in levels[-1]:
            if isinstance(item, list):
                _check_list(item, level, shape)
                levels.append(iter(item))
                break
            if level != rank:
                raise InvalidArgumentError(
                    f"JSON Value: {described(item)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {rank}"
                )
            scalar(item, dtype)
            leaves.append(item)
        else:
            levels.pop()
    return leaves


def _check_list(items: list[Any], level: int, shape: list[int]) -> None:
    if level >= len(shape):
        raise InvalidArgumentError(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(items) != shape[level]:
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {len(items)} at level: {level} expected size: {shape[level]}"
        )


def scalar(value: Any, dtype: int) -> Any:
    """The value as a TensorProto's field of that type holds it; raises StatusError where it is of another type."""
    if isinstance(value, Members):
        if dtype != types_pb2.DT_STRING:
            raise _type_error(value, dtype)
        return base64_decoded(value)
    if dtype in FLOATS:
        fits = type(value) in (int, float)
    elif dtype in INTEGERS:
        fits = type(value) is int and value in INTEGERS[dtype]
    elif dtype == types_pb2.DT_BOOL:
        fits = isinstance(value, bool)
    elif dtype == types_pb2.DT_STRING:
        fits = isinstance(value, str)
    else:
        raise UnimplementedError(f"Conversion of JSON Value: {described(value)} to type: {dtype_name(dtype)}")
    if not fits:
        raise _type_error(value, dtype)
    return value.encode(*ENCODING) if isinstance(value, str) else value


def _type_error(value: Any, dtype: int) -> StatusError:
    return InvalidArgumentError(
        f"JSON Value: {described(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def is_base64(value: Any) -> bool:
    """Whether this object stands for bytes: one member, `b64`, a string."""
    return isinstance(value, Members) and len(value) == 1 and value[0][0] == "b64" and isinstance(value[0][1], str)


def base64_decoded(value: Members) -> bytes:
    """As Abseil decodes: white space anywhere, padding whole or missing, "." as good as "="."""
    if not is_base64(value):
        raise InvalidArgumentError(f"JSON Value: {described(value)} not formatted correctly for base64 data")
    match = _PADDED.fullmatch(b"".join(value[0][1].encode(*ENCODING).split()))
    if match is None:
        raise InvalidArgumentError("Unable to base64 decode")
    data, padding = match.groups()
    missing = -len(data) % 4
    if missing == 3 or len(padding) not in (0, missing):
        raise InvalidArgumentError("Unable to base64 decode")
    return binascii.a2b_base64(data + b"=" * missing)


def _are_numbers(leaves: list[Any], dtype: int) -> bool:
    """Whether all are numbers the type can hold: asked of the whole list, as there may be a million."""
    kinds = set(map(type, leaves))
    if dtype in FLOATS:
        return bool(kinds) and kinds <= {int, float}
    return kinds == {int} and dtype in INTEGERS and min(leaves) in INTEGERS[dtype] and max(leaves) in INTEGERS[dtype]


def _packed(leaves: list[Any], dtype: int) -> bytes:
    # Integers go through a type of their own width: not every int64 survives a double.
    wide = np.float64 if dtype in FLOATS else np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
    with np.errstate(over="ignore"):
        return np.array(leaves, wide).astype(KINDS[dtype].dtype).tobytes()
