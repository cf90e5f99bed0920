"""The data types of the protocol, and of TensorFlow's messages."""

from typing import Any

import ml_dtypes
import numpy as np

from serving.type_names import dtype_name
from serving.wire import KINDS

BYTES = "BYTES"

# Complex numbers have no name in the protocol. BF16 is not in its text; Triton and KServe use it.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    BYTES: np.dtype(np.object_),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class ProtocolError(ValueError):
    """A body does not follow the protocol, or not the model's signature; the text says where, and what would."""


def name_of(dtype: np.dtype[Any]) -> str | None:
    """The protocol's name of an array's type; None for a type that it has no name for."""
    return _NAMES.get(dtype)


def name_of_enum(dtype: int) -> str:
    """The protocol's name of a DataType of TensorFlow; TensorFlow's own name where the protocol has none."""
    kind = KINDS.get(dtype)
    return (kind and _NAMES.get(kind.dtype)) or dtype_name(dtype).upper()


def shown(value: Any) -> str:
    """What a client has sent, as it may stand in a message: on one line, and not at length."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
