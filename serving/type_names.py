"""Types and shapes as TensorFlow's messages write them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from serving.apis import types_pb2
from serving.wire import ENUMS


def dtype_name(number: int) -> str:
    """`float` for DT_FLOAT; a client may send a number that is no DataType."""
    known = types_pb2.DataType.values()
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower() if number in known else f"type {number}"


def enum_name(dtype: np.dtype[Any]) -> str:
    """`DT_FLOAT` for float32."""
    return str(types_pb2.DataType.Name(ENUMS.get(dtype, types_pb2.DT_INVALID)))


def shape_name(sizes: Iterable[int]) -> str:
    """`[2,3]`."""
    return f"[{','.join(map(str, sizes))}]"
