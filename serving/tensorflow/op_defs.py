"""Which kinds of operation this build of TensorFlow knows; a server of the same version knows them too."""

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

from serving.apis import op_def_pb2
from serving.tensorflow.c_api import library


@cache
def op_defs() -> Mapping[str, Any]:
    """The OpDef of each, by name."""
    c = library()
    buffer = c.TF_GetAllOpList()
    try:
        content = ctypes.string_at(buffer.contents.data, buffer.contents.length)
    finally:
        c.TF_DeleteBuffer(buffer)
    return {op.name: op for op in op_def_pb2.OpList.FromString(content).op}


def tensorflow_version() -> str:
    version: str = library().TF_Version().decode()
    return version
