"""The `data` of a tensor in JSON: flat in row-major order, or nested as its shape is."""

import binascii
import json
from math import prod
from typing import Any

import numpy as np

from serving.gateway.inference_protocol.datatypes import BYTES, DTYPES, ProtocolError, name_of
from serving.rest_json.json_numbers import decimals
from serving.rest_json.json_tensors import dense
from serving.wire import Array

BASE64 = "base64"
# Content types of BYTES: without one, strings are UTF-8.
_TEXT = ("str", None)


def array_of(data: Any, *, datatype: str, shape: list[int], content_type: Any) -> Array:
    """The array of the values in `data`.

    Args:
        data: lists of JSON values.
        datatype: one of DTYPES.
        shape: of the array.
        content_type: of BYTES: "base64", "str" or None.

    Raises:
        ProtocolError: they do not fit together. The text is the end of a sentence about the tensor.
    """
    whole = dense(data) if isinstance(data, list) else None
    if whole is None:
        raise ProtocolError("has data that is not a list of values, flat or nested in lists of equal lengths")
    if whole.shape != shape and whole.shape != [prod(shape)]:
        raise ProtocolError(f"has data of shape {whole.shape}, but its shape is {shape}")
    if datatype == BYTES:
        return shaped(_bytes(whole.leaves, content_type), shape)
    return shaped(_numbers(whole.leaves, DTYPES[datatype], datatype), shape)


def shaped(flat: Array, shape: list[int]) -> Array:
    """The array in its shape.

    Raises:
        ProtocolError: NumPy has no array of that shape.
    """
    try:
        return flat.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ProtocolError(f"has a shape that no array has: {shape}") from error


def objects(values: list[bytes]) -> Array:
    """An array of strings, as `serving.wire` has them."""
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def json_data(array: Array) -> tuple[str, bool]:
    """The values of an array as JSON text, flat; and whether its strings are in base64, as some are not UTF-8.

    Raises:
        ProtocolError: a number is not finite, for which JSON has no form.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype == np.object_:
        return _strings(flat.tolist())
    if flat.dtype == np.bool_:
        return f"[{','.join('true' if value else 'false' for value in flat)}]", False
    if name_of(flat.dtype) not in ("FP16", "BF16", "FP32", "FP64"):
        return f"[{','.join(map(str, flat.tolist()))}]", False
    wide = flat if flat.dtype == np.float64 else flat.astype(np.float32)
    if not np.isfinite(wide).all():
        raise ProtocolError("has a value that is not finite, which JSON has no form for; ask for binary_data")
    return f"[{','.join(decimals(wide))}]", False


def base64_data(array: Array) -> str:
    """The strings of an array in base64, as JSON text."""
    flat = np.ascontiguousarray(array).reshape(-1).tolist()
    return f"[{','.join(_base64(value) for value in flat)}]"


def _base64(value: bytes) -> str:
    return f'"{binascii.b2a_base64(value, newline=False).decode()}"'


def _strings(values: list[bytes]) -> tuple[str, bool]:
    try:
        return json.dumps([value.decode() for value in values]), False
    except UnicodeDecodeError:
        return f"[{','.join(map(_base64, values))}]", True


def _bytes(leaves: list[Any], content_type: Any) -> Array:
    if not all(isinstance(leaf, str) for leaf in leaves):
        raise ProtocolError("is BYTES, so each of its values must be a string")
    if content_type == BASE64:
        try:
            return objects([binascii.a2b_base64(leaf, strict_mode=True) for leaf in leaves])
        except ValueError as error:  # also for what is not ASCII
            raise ProtocolError("has the content type base64, and a string that is not base64") from error
    if content_type not in _TEXT:
        raise ProtocolError("has a content_type other than base64 and str")
    try:
        return objects([leaf.encode() for leaf in leaves])
    except UnicodeEncodeError as error:
        raise ProtocolError("has a string that is not Unicode text: half a surrogate pair") from error


def _numbers(leaves: list[Any], dtype: np.dtype[Any], datatype: str) -> Array:
    kinds = set(map(type, leaves))
    if datatype == "BOOL":
        if not kinds <= {bool}:
            raise ProtocolError("is BOOL, so each of its values must be true or false")
        return np.array(leaves, np.bool_)
    if dtype.kind in "iu":
        return _integers(leaves, dtype, datatype)
    if not kinds <= {int, float}:
        raise ProtocolError(f"is {datatype}, so each of its values must be a number")
    try:
        with np.errstate(over="ignore"):
            array = np.array(leaves, np.float64).astype(dtype)
    except OverflowError as error:
        raise _too_large(datatype) from error
    if not np.isfinite(array.astype(np.float64)).all():
        raise _too_large(datatype)
    return array


def _integers(leaves: list[Any], dtype: np.dtype[Any], datatype: str) -> Array:
    if not set(map(type, leaves)) <= {int}:
        raise ProtocolError(f"is {datatype}, so each of its values must be an integer")
    limits = np.iinfo(dtype)
    if leaves and not (limits.min <= min(leaves) and max(leaves) <= limits.max):
        raise _too_large(datatype)
    return np.array(leaves, dtype)


def _too_large(datatype: str) -> ProtocolError:
    return ProtocolError(f"has a value that {datatype} cannot hold")
