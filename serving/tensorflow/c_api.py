"""The functions of TensorFlow's C API (tensorflow/c/c_api.h) through ctypes: the code inside tensorflow_model_server.

The library comes with the `tensorflow` package, whose Python half is neither needed nor imported: a server starts in
a fraction of a second, a load never holds Python's lock, and every error is in the words of the C++ runtime.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from serving.status import CODE_BY_NUMBER, StatusError

Pointer = ctypes.c_void_p


class Buffer(ctypes.Structure):
    _fields_ = (("data", Pointer), ("length", ctypes.c_size_t), ("deallocator", Pointer))


class Output(ctypes.Structure):
    _fields_ = (("operation", Pointer), ("index", ctypes.c_int))


Outputs = ctypes.POINTER(Output)
Pointers = ctypes.POINTER(Pointer)

# Result and arguments of the functions used. Quick ones keep Python's lock: to give it up and ask for it again costs a
# turn of every other thread. The others read files or compute, and let the other threads run meanwhile.
_QUICK: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (ctypes.c_char_p, []),
    "TF_NewStatus": (Pointer, []),
    "TF_DeleteStatus": (None, [Pointer]),
    "TF_GetCode": (ctypes.c_int, [Pointer]),
    "TF_Message": (ctypes.c_char_p, [Pointer]),
    "TF_NewBuffer": (ctypes.POINTER(Buffer), []),
    "TF_NewBufferFromString": (ctypes.POINTER(Buffer), [ctypes.c_char_p, ctypes.c_size_t]),
    "TF_DeleteBuffer": (None, [ctypes.POINTER(Buffer)]),
    "TF_NewGraph": (Pointer, []),
    "TF_GraphOperationByName": (Pointer, [Pointer, ctypes.c_char_p]),
    "TF_NewSessionOptions": (Pointer, []),
    "TF_SetConfig": (None, [Pointer, ctypes.c_char_p, ctypes.c_size_t, Pointer]),
    "TF_DeleteSessionOptions": (None, [Pointer]),
    "TF_AllocateTensor": (Pointer, [ctypes.c_int, Pointer, ctypes.c_int, ctypes.c_size_t]),
    "TF_DeleteTensor": (None, [Pointer]),
    "TF_TensorType": (ctypes.c_int, [Pointer]),
    "TF_NumDims": (ctypes.c_int, [Pointer]),
    "TF_Dim": (ctypes.c_int64, [Pointer, ctypes.c_int]),
    "TF_TensorByteSize": (ctypes.c_size_t, [Pointer]),
    "TF_TensorData": (Pointer, [Pointer]),
    "TF_StringGetDataPointer": (Pointer, [Pointer]),
    "TF_StringGetSize": (ctypes.c_size_t, [Pointer]),
    "TF_GetAllOpList": (ctypes.POINTER(Buffer), []),
    "TF_CheckpointReaderSize": (ctypes.c_int, [Pointer]),
    "TF_CheckpointReaderGetVariable": (ctypes.c_char_p, [Pointer, ctypes.c_int]),
    "TF_CheckpointReaderGetVariableDataType": (ctypes.c_int, [Pointer, ctypes.c_char_p]),
}
_LONG: dict[str, tuple[Any, list[Any]]] = {
    "TF_LoadSessionFromSavedModel": (
        Pointer,
        [
            *(Pointer, ctypes.POINTER(Buffer), ctypes.c_char_p),
            *(ctypes.POINTER(ctypes.c_char_p), ctypes.c_int),
            *(Pointer, ctypes.POINTER(Buffer), Pointer),
        ],
    ),
    "TF_SessionRun": (
        None,
        [
            *(Pointer, ctypes.POINTER(Buffer)),
            *(Outputs, Pointers, ctypes.c_int),
            *(Outputs, Pointers, ctypes.c_int),
            *(Pointer, ctypes.c_int, Pointer, Pointer),
        ],
    ),
    "TF_TensorFromProto": (None, [ctypes.POINTER(Buffer), Pointer, Pointer]),
    "TF_CloseSession": (None, [Pointer, Pointer]),
    "TF_DeleteSession": (None, [Pointer, Pointer]),
    "TF_DeleteGraph": (None, [Pointer]),
    "TF_NewCheckpointReader": (Pointer, [ctypes.c_char_p, Pointer]),
    "TF_DeleteCheckpointReader": (None, [Pointer]),
    "TF_CheckpointReaderGetTensor": (Pointer, [Pointer, ctypes.c_char_p, Pointer]),
}


def library_path() -> Path:
    """Where the `tensorflow` package keeps its C library; raises ImportError when there is none."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("tensorflow is not installed; install the packages of requirements.txt")
    name = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"
    path = Path(next(iter(spec.submodule_search_locations))) / name
    if not path.exists():
        raise ImportError(f"this build of tensorflow has no {name}; the model server runs on Linux and macOS")
    return path


@cache
def library() -> Any:
    """The functions by name; the first call loads the library."""
    path = str(library_path())
    functions = {}
    for table, loaded in ((_QUICK, ctypes.PyDLL(path)), (_LONG, ctypes.CDLL(path))):
        for name, (result, arguments) in table.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
            functions[name] = function
    return SimpleNamespace(**functions)


@contextmanager
def checked() -> Iterator[Any]:
    """A TF_Status to hand to a call; raises StatusError at the end when it is not OK."""
    c = library()
    status = c.TF_NewStatus()
    try:
        yield status
        code = c.TF_GetCode(status)
        if code:
            raise StatusError(c.TF_Message(status).decode("utf-8", "replace"), CODE_BY_NUMBER.get(code))
    finally:
        c.TF_DeleteStatus(status)


@contextmanager
def buffer(content: bytes) -> Iterator[Any]:
    """A TF_Buffer with a copy of the content; none for no content."""
    if not content:
        yield None
        return
    c = library()
    made = c.TF_NewBufferFromString(content, len(content))
    try:
        yield made
    finally:
        c.TF_DeleteBuffer(made)
