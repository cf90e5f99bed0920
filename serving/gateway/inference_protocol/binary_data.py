"""Tensors as raw bytes behind the JSON: numbers little-endian, strings each behind its length in 4 bytes."""

import struct
from math import prod

import numpy as np

from serving.gateway.inference_protocol.datatypes import BYTES, DTYPES, ProtocolError
from serving.gateway.inference_protocol.tensor_data import objects, shaped
from serving.wire import Array

_LENGTH = struct.Struct("<I")


def array_of_bytes(content: bytes, *, datatype: str, shape: list[int]) -> Array:
    """The array that the bytes are.

    Raises:
        ProtocolError: they are more or fewer than its shape needs. The text is the end of a sentence about the tensor.
    """
    if datatype == BYTES:
        return shaped(objects(_split(content, prod(shape))), shape)
    dtype = DTYPES[datatype]
    if len(content) != prod(shape) * dtype.itemsize:
        raise ProtocolError(f"has {len(content)} bytes, and its shape needs {prod(shape) * dtype.itemsize}")
    if datatype == "BOOL":
        return shaped(np.frombuffer(content, np.uint8) != 0, shape)
    return shaped(np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype, copy=False), shape)


def bytes_of(array: Array) -> bytes:
    """The bytes of an array."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype == np.object_:
        return b"".join(_LENGTH.pack(len(value)) + value for value in flat.tolist())
    return flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()


def _split(content: bytes, count: int) -> list[bytes]:
    values: list[bytes] = []
    at = 0
    while at < len(content) and len(values) <= count:
        if at + _LENGTH.size > len(content):
            raise ProtocolError("ends inside the length of a string")
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        if at + length > len(content):
            raise ProtocolError(f"ends inside a string of {length} bytes")
        values.append(content[at : at + length])
        at += length
    if len(values) != count or at != len(content):
        raise ProtocolError(f"has other than the {count} strings that its shape needs")
    return values
