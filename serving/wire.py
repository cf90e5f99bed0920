"""The border between our values and what travels: NumPy arrays and TensorProtos, our errors and gRPC's statuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from serving.apis import tensor_pb2, tensor_shape_pb2, types_pb2
from serving.errors import NotServedError, RefusedError, ServerFaultError, ServingError, UnreachableError

Array = NDArray[Any]

_NUMPY_TYPES: dict[int, np.dtype[Any]] = {
    types_pb2.DT_FLOAT: np.dtype(np.float32),
    types_pb2.DT_DOUBLE: np.dtype(np.float64),
    types_pb2.DT_HALF: np.dtype(np.float16),
    types_pb2.DT_INT8: np.dtype(np.int8),
    types_pb2.DT_INT16: np.dtype(np.int16),
    types_pb2.DT_INT32: np.dtype(np.int32),
    types_pb2.DT_INT64: np.dtype(np.int64),
    types_pb2.DT_UINT8: np.dtype(np.uint8),
    types_pb2.DT_UINT16: np.dtype(np.uint16),
    types_pb2.DT_UINT32: np.dtype(np.uint32),
    types_pb2.DT_UINT64: np.dtype(np.uint64),
    types_pb2.DT_BOOL: np.dtype(np.bool_),
}
_TENSOR_TYPES = {dtype: code for code, dtype in _NUMPY_TYPES.items()}
_VALUE_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
}


def to_proto(array: Array) -> tensor_pb2.TensorProto:
    """An array as a TensorProto: strings as `string_val`, numbers as `tensor_content` (which decodes 65 times faster).

    Raises:
        TypeError: TensorFlow has no type for this array's.
    """
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    )
    if array.dtype.kind in "OSU":
        values = [value.encode() if isinstance(value, str) else bytes(value) for value in array.ravel().tolist()]
        return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=values)
    code = _TENSOR_TYPES.get(array.dtype)
    if code is None:
        raise TypeError(f"no TensorFlow type for arrays of {array.dtype}; convert the array first")
    content = np.ascontiguousarray(array).tobytes()
    return tensor_pb2.TensorProto(dtype=code, tensor_shape=shape, tensor_content=content)


def from_proto(proto: tensor_pb2.TensorProto) -> Array:
    """A TensorProto as an array; strings as an object array of bytes. The result may be read-only.

    Raises:
        TypeError: a type NumPy has no equivalent for.
        ValueError: shape and content disagree.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.dtype == types_pb2.DT_STRING:
        strings = np.empty(len(proto.string_val), dtype=object)
        strings[:] = proto.string_val
        return _filled(strings, shape)
    dtype = _NUMPY_TYPES.get(proto.dtype)
    if dtype is None:
        raise TypeError(f"no NumPy type for tensors of {types_pb2.DataType.Name(proto.dtype)}")
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=dtype).reshape(shape)
    if proto.dtype == types_pb2.DT_HALF:
        return _filled(np.array(proto.half_val, dtype=np.uint16).view(np.float16), shape)
    return _filled(np.array(getattr(proto, _VALUE_FIELDS[proto.dtype]), dtype=dtype), shape)


def _filled(values: Array, shape: tuple[int, ...]) -> Array:
    """TensorFlow lets a tensor name fewer values than its shape holds: the last one fills the rest."""
    size = int(np.prod(shape, dtype=np.int64))
    if 0 < len(values) < size:
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    return values.reshape(shape)


_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
}


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn gRPC's errors into ours; the server's own words stay in the message."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translate(address, error) from error


def _translate(address: str, error: grpc.RpcError) -> ServingError:
    code, details = error.code(), error.details() or "no details"
    if "failed to connect to all addresses" in details:
        details = f"no connection ({details.rpartition(': ')[2]})"  # gRPC says the address three times over
    told = f"{code.name}: {details}"
    if code in _UNREACHABLE:
        return UnreachableError(address, told)
    # An unknown label is INVALID_ARGUMENT, an unknown version NOT_FOUND: the same thing to someone who asks again.
    if code is grpc.StatusCode.NOT_FOUND or "Unrecognized servable version label" in details:
        return NotServedError(address, told)
    if code in _REFUSED:
        return RefusedError(address, told)
    return ServerFaultError(address, told)
