"""NumPy arrays and TensorProtos, as lenient and as strict as TensorFlow; strings are object arrays of bytes.

Upstream: tensorflow/core/framework/tensor.proto and tensor.cc.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from serving.apis import tensor_pb2, types_pb2

# The limit for repeated values: a small request must not fill the server's memory.
MAX_EXPANDED_BYTES = 2**28
# The memory that an empty string takes in NumPy, protobuf and TensorFlow together.
STRING_BYTES = 128

# The wire type of a packed field in protobuf.
LENGTH_DELIMITED = 2

Array = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """How a data type is sent: its NumPy type, its value field in TensorProto, and the type of that field's entries."""

    dtype: np.dtype[Any]
    field: str
    entry: np.dtype[Any]

    def read(self, values: Any) -> Array:
        """The array of the values in the field; one dimension."""
        entries = np.array(values, self.entry)
        if self.field == "half_val":
            return entries.astype(np.uint16).view(self.dtype)
        if self.dtype.kind == "c":
            return entries.view(self.dtype)
        return entries.astype(self.dtype, copy=False)

    def write(self, array: Array) -> list[Any]:
        """The values for the field, from an array of one dimension."""
        if self.field == "half_val":
            array = array.view(np.uint16)
        values: list[Any] = array.tolist()
        return values


def _kind(dtype: Any, field: str, entry: Any = None) -> Kind:
    return Kind(np.dtype(dtype), field, np.dtype(entry or dtype))


KINDS = {
    types_pb2.DT_BFLOAT16: _kind(ml_dtypes.bfloat16, "half_val", np.int32),
    types_pb2.DT_BOOL: _kind(np.bool_, "bool_val"),
    types_pb2.DT_COMPLEX128: _kind(np.complex128, "dcomplex_val", np.float64),
    types_pb2.DT_COMPLEX64: _kind(np.complex64, "scomplex_val", np.float32),
    types_pb2.DT_DOUBLE: _kind(np.float64, "double_val"),
    types_pb2.DT_FLOAT: _kind(np.float32, "float_val"),
    types_pb2.DT_HALF: _kind(np.float16, "half_val", np.int32),
    types_pb2.DT_INT16: _kind(np.int16, "int_val", np.int32),
    types_pb2.DT_INT32: _kind(np.int32, "int_val"),
    types_pb2.DT_INT64: _kind(np.int64, "int64_val"),
    types_pb2.DT_INT8: _kind(np.int8, "int_val", np.int32),
    types_pb2.DT_STRING: _kind(np.object_, "string_val"),
    types_pb2.DT_UINT16: _kind(np.uint16, "int_val", np.int32),
    types_pb2.DT_UINT32: _kind(np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: _kind(np.uint64, "uint64_val"),
    types_pb2.DT_UINT8: _kind(np.uint8, "int_val", np.int32),
}
ENUMS = {kind.dtype: enum for enum, kind in KINDS.items()}


def from_proto(proto: Any) -> Array:
    """The array that a TensorProto stands for.

    If it has fewer values than its shape, the last one is repeated; if it has none, they are zeros. Surplus ones are
    ignored.

    Raises:
        ValueError: its type, shape and values do not fit together, or the repeated values would take more than
            MAX_EXPANDED_BYTES.
    """
    kind = KINDS.get(proto.dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if kind is None or proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError("a tensor needs a known type and a known shape")
    size = prod(shape)
    if not proto.tensor_content:
        return _filled(kind, getattr(proto, kind.field), size).reshape(shape)
    if kind.dtype == np.object_:
        return _strings(_split(proto.tensor_content, size)).reshape(shape)
    if len(proto.tensor_content) != size * kind.dtype.itemsize:
        raise ValueError("tensor_content does not fill the shape")
    return np.frombuffer(proto.tensor_content, kind.dtype).reshape(shape)


def to_proto(array: Array, *, as_content: bool = False) -> Any:
    """The TensorProto of an array.

    By default its values are in the typed field, as `tensorflow_model_server` answers; with `as_content` they are raw
    bytes in `tensor_content`.

    Raises:
        KeyError: the array's type is none of KINDS.
    """
    enum = ENUMS[array.dtype]
    proto = tensor_pb2.TensorProto(dtype=enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = np.ascontiguousarray(array).reshape(-1)
    if not as_content:
        _add_values(proto, KINDS[enum], flat)
    elif array.dtype == np.object_:
        proto.tensor_content = b"".join([_varint(len(text)) for text in flat] + list(flat))
    else:
        proto.tensor_content = flat.tobytes()
    return proto


def _add_values(proto: Any, kind: Kind, flat: Array) -> None:
    """Add floating-point values as bytes: on the wire they are the same as in memory.

    As Python numbers they would take ten times the memory and the time, and no other thread could run meanwhile.
    """
    if kind.entry.kind != "f":
        getattr(proto, kind.field).extend(kind.write(flat))
        return
    content = flat.tobytes()
    tag = proto.DESCRIPTOR.fields_by_name[kind.field].number << 3 | LENGTH_DELIMITED
    proto.MergeFromString(_varint(tag) + _varint(len(content)) + content)


def _filled(kind: Kind, values: Any, size: int) -> Array:
    """As many values as the shape needs: surplus ones dropped, the last one repeated, zeros if there is none."""
    given = _strings(list(values[:size])) if kind.dtype == np.object_ else kind.read(values)[:size]
    missing = size - len(given)
    if missing == 0:
        return given
    each = STRING_BYTES if kind.dtype == np.object_ else kind.dtype.itemsize
    if missing * each > MAX_EXPANDED_BYTES:
        raise ValueError("the shape is far larger than the values given")
    nothing = b"" if kind.dtype == np.object_ else kind.dtype.type(0)
    return np.concatenate([given, np.full(missing, given[-1] if len(given) else nothing, kind.dtype)])


def _strings(texts: list[bytes]) -> Array:
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _split(content: bytes, count: int) -> list[bytes]:
    """The strings of a tensor_content: all lengths as varints first, then all bytes."""
    if count > len(content):
        raise ValueError("tensor_content does not fill the shape")
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise ValueError("tensor_content does not fill the shape")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError("tensor_content does not fill the shape")
    texts = []
    for length in lengths:
        texts.append(content[position : position + length])
        position += length
    return texts
