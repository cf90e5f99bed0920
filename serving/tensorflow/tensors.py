"""NumPy arrays and TF_Tensors: what goes into TensorFlow's C library and what comes out, always as a copy."""

import ctypes
from typing import Any

import numpy as np

from serving.apis import types_pb2
from serving.status import UnimplementedError
from serving.tensorflow.c_api import Pointer, buffer, checked, library
from serving.wire import ENUMS, KINDS, Array, to_proto

# The size of a TF_TString, the cells of a string tensor.
STRING_BYTES = 24


def to_tensor(array: Array) -> Any:
    """A TF_Tensor with a copy of the array."""
    c = library()
    if array.dtype == np.object_:
        return _string_tensor(array)
    array = np.asarray(array, order="C")
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    tensor = c.TF_AllocateTensor(ENUMS[array.dtype], shape, array.ndim, array.nbytes)
    # Python's memmove of the C library, because the one of ctypes gives up the interpreter lock.
    ctypes.pythonapi.memmove(
        Pointer(c.TF_TensorData(tensor)), Pointer(array.ctypes.data), ctypes.c_size_t(array.nbytes)
    )
    return tensor


def _string_tensor(array: Array) -> Any:
    """Through a TensorProto, so that the strings belong to TensorFlow and live as long as it wants them."""
    c = library()
    tensor = c.TF_AllocateTensor(types_pb2.DT_UINT8, None, 0, 1)
    try:
        with buffer(to_proto(array).SerializeToString()) as proto, checked() as status:
            c.TF_TensorFromProto(proto, tensor, status)
    except BaseException:
        c.TF_DeleteTensor(tensor)
        raise
    return tensor


def to_array(tensor: Any) -> Array:
    """A copy of what a TF_Tensor holds."""
    c = library()
    number = c.TF_TensorType(tensor)
    kind = KINDS.get(number)
    if kind is None:
        raise UnimplementedError(f"a tensor of {types_pb2.DataType.Name(number)} cannot leave the server")
    shape = [c.TF_Dim(tensor, position) for position in range(c.TF_NumDims(tensor))]
    start, size = c.TF_TensorData(tensor) or 0, c.TF_TensorByteSize(tensor)
    if kind.dtype != np.object_:
        return np.frombuffer(ctypes.string_at(start, size), kind.dtype).reshape(shape)
    # The cells stay where they are: they may take more than 2 GiB, the most `string_at` copies, for a short answer.
    strings = np.empty(size // STRING_BYTES, np.object_)
    for position in range(len(strings)):
        cell = start + position * STRING_BYTES
        strings[position] = ctypes.string_at(c.TF_StringGetDataPointer(cell), c.TF_StringGetSize(cell))
    return strings.reshape(shape)
