"""TensorFlow's C API through ctypes: SavedModels loaded and run by the code that runs in tensorflow_model_server.

The library comes with the `tensorflow` package, whose Python half is neither needed nor imported: a server starts in
a fraction of a second, a load never holds Python's lock, and every error is in the words of the C++ runtime.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from serving.apis import config_pb2, types_pb2
from serving.model_server.heap import trim_heap
from serving.model_server.status import (
    CODE_BY_NUMBER,
    FailedPreconditionError,
    NotFoundError,
    StatusError,
    UnimplementedError,
)
from serving.wire import ENUMS, KINDS, Array, to_proto

# The size of a TF_TString, the cells of a string tensor.
STRING_BYTES = 24

# Variables are restored by the thread that loads, and not by those that requests wait for.
LOADING = bytes(config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString())

_Pointer = ctypes.c_void_p


class _Buffer(ctypes.Structure):
    _fields_ = (("data", _Pointer), ("length", ctypes.c_size_t), ("deallocator", _Pointer))


class _Output(ctypes.Structure):
    _fields_ = (("operation", _Pointer), ("index", ctypes.c_int))


_Outputs = ctypes.POINTER(_Output)
_Pointers = ctypes.POINTER(_Pointer)

# Result and arguments of the functions used. Quick ones keep Python's lock: to give it up and ask for it again costs a
# turn of every other thread. The others read files or compute, and let the other threads run meanwhile.
_QUICK: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (ctypes.c_char_p, []),
    "TF_NewStatus": (_Pointer, []),
    "TF_DeleteStatus": (None, [_Pointer]),
    "TF_GetCode": (ctypes.c_int, [_Pointer]),
    "TF_Message": (ctypes.c_char_p, [_Pointer]),
    "TF_NewBuffer": (ctypes.POINTER(_Buffer), []),
    "TF_NewBufferFromString": (ctypes.POINTER(_Buffer), [ctypes.c_char_p, ctypes.c_size_t]),
    "TF_DeleteBuffer": (None, [ctypes.POINTER(_Buffer)]),
    "TF_NewGraph": (_Pointer, []),
    "TF_GraphOperationByName": (_Pointer, [_Pointer, ctypes.c_char_p]),
    "TF_NewSessionOptions": (_Pointer, []),
    "TF_SetConfig": (None, [_Pointer, ctypes.c_char_p, ctypes.c_size_t, _Pointer]),
    "TF_DeleteSessionOptions": (None, [_Pointer]),
    "TF_AllocateTensor": (_Pointer, [ctypes.c_int, _Pointer, ctypes.c_int, ctypes.c_size_t]),
    "TF_DeleteTensor": (None, [_Pointer]),
    "TF_TensorType": (ctypes.c_int, [_Pointer]),
    "TF_NumDims": (ctypes.c_int, [_Pointer]),
    "TF_Dim": (ctypes.c_int64, [_Pointer, ctypes.c_int]),
    "TF_TensorByteSize": (ctypes.c_size_t, [_Pointer]),
    "TF_TensorData": (_Pointer, [_Pointer]),
    "TF_StringGetDataPointer": (_Pointer, [_Pointer]),
    "TF_StringGetSize": (ctypes.c_size_t, [_Pointer]),
    "TF_GetAllOpList": (ctypes.POINTER(_Buffer), []),
    "TF_CheckpointReaderSize": (ctypes.c_int, [_Pointer]),
    "TF_CheckpointReaderGetVariable": (ctypes.c_char_p, [_Pointer, ctypes.c_int]),
    "TF_CheckpointReaderGetVariableDataType": (ctypes.c_int, [_Pointer, ctypes.c_char_p]),
}
_LONG: dict[str, tuple[Any, list[Any]]] = {
    "TF_LoadSessionFromSavedModel": (
        _Pointer,
        [
            *(_Pointer, ctypes.POINTER(_Buffer), ctypes.c_char_p),
            *(ctypes.POINTER(ctypes.c_char_p), ctypes.c_int),
            *(_Pointer, ctypes.POINTER(_Buffer), _Pointer),
        ],
    ),
    "TF_SessionRun": (
        None,
        [
            *(_Pointer, ctypes.POINTER(_Buffer)),
            *(_Outputs, _Pointers, ctypes.c_int),
            *(_Outputs, _Pointers, ctypes.c_int),
            *(_Pointer, ctypes.c_int, _Pointer, _Pointer),
        ],
    ),
    "TF_TensorFromProto": (None, [ctypes.POINTER(_Buffer), _Pointer, _Pointer]),
    "TF_CloseSession": (None, [_Pointer, _Pointer]),
    "TF_DeleteSession": (None, [_Pointer, _Pointer]),
    "TF_DeleteGraph": (None, [_Pointer]),
    "TF_NewCheckpointReader": (_Pointer, [ctypes.c_char_p, _Pointer]),
    "TF_DeleteCheckpointReader": (None, [_Pointer]),
    "TF_CheckpointReaderGetTensor": (_Pointer, [_Pointer, ctypes.c_char_p, _Pointer]),
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
def _buffer(content: bytes) -> Iterator[Any]:
    """A TF_Buffer with a copy of the content; none for no content."""
    if not content:
        yield None
        return
    c = library()
    buffer = c.TF_NewBufferFromString(content, len(content))
    try:
        yield buffer
    finally:
        c.TF_DeleteBuffer(buffer)


class Session:
    """A loaded SavedModel. `run` may be called from many threads at once; `close` when none of them is in it."""

    def __init__(self, path: str, *, tags: Iterable[str], config: bytes) -> None:
        """Load variables and run the initialisers; `config` is a serialized ConfigProto. Raises StatusError."""
        c = library()
        names = [tag.encode() for tag in tags]
        self._graph = c.TF_NewGraph()
        self._handle: int | None = None
        self._located: dict[str, _Output] = {}
        meta_graph = c.TF_NewBuffer()
        options = c.TF_NewSessionOptions()
        try:
            with checked() as status:
                c.TF_SetConfig(options, config, len(config), status)
            with _buffer(LOADING) as run_options, checked() as status:
                self._handle = c.TF_LoadSessionFromSavedModel(
                    *(options, run_options, path.encode(), (ctypes.c_char_p * len(names))(*names), len(names)),
                    *(self._graph, meta_graph, status),
                )
            self.meta_graph = ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length)
        except BaseException:
            self.close()
            raise
        finally:
            c.TF_DeleteSessionOptions(options)
            c.TF_DeleteBuffer(meta_graph)

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], *, options: bytes = b"") -> list[Array]:
        """Values of the fetched tensors, by names such as `x:0`; `options` is a serialized RunOptions."""
        c = library()
        if self._handle is None:
            raise FailedPreconditionError("Session has been closed.")
        inputs, outputs = self._outputs(feeds), self._outputs(fetches)
        given = (_Pointer * len(feeds))()
        answered = (_Pointer * len(fetches))()
        try:
            for position, array in enumerate(feeds.values()):
                given[position] = _tensor(array)
            with _buffer(options) as run_options, checked() as status:
                c.TF_SessionRun(
                    *(self._handle, run_options),
                    *(inputs, given, len(feeds), outputs, answered, len(fetches)),
                    *(None, 0, None, status),
                )
            return [_array(tensor) for tensor in answered]
        finally:
            for tensor in (*answered, *given):
                if tensor:
                    c.TF_DeleteTensor(tensor)

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        c = library()
        handle, self._handle = self._handle, None
        graph, self._graph = self._graph, None
        try:
            if handle is not None:
                _end(handle)
        finally:
            if graph is not None:
                c.TF_DeleteGraph(graph)
            trim_heap()

    def _outputs(self, names: Collection[str]) -> Any:
        return (_Output * len(names))(*map(self._output, names))

    def _output(self, name: str) -> _Output:
        """Where a tensor is in the graph, looked up once."""
        known = self._located.get(name)
        if known is None:
            operation, _, index = name.partition(":")
            found = library().TF_GraphOperationByName(self._graph, operation.encode())
            if found is None:
                raise NotFoundError(f"Tensor {name} is named by the signature and is not in the graph")
            known = self._located[name] = _Output(found, int(index or 0))
        return known


def _end(session: int) -> None:
    """Close it and delete it, the latter also when the former fails."""
    c = library()
    try:
        with checked() as status:
            c.TF_CloseSession(session, status)
    finally:
        with checked() as status:
            c.TF_DeleteSession(session, status)


def _tensor(array: Array) -> Any:
    """A TF_Tensor with a copy of the array."""
    c = library()
    if array.dtype == np.object_:
        return _string_tensor(array)
    array = np.asarray(array, order="C")
    shape = (ctypes.c_int64 * array.ndim)(*array.shape)
    tensor = c.TF_AllocateTensor(ENUMS[array.dtype], shape, array.ndim, array.nbytes)
    # Python's memmove of the C library, because the one of ctypes gives up the interpreter lock.
    ctypes.pythonapi.memmove(
        _Pointer(c.TF_TensorData(tensor)), _Pointer(array.ctypes.data), ctypes.c_size_t(array.nbytes)
    )
    return tensor


def _string_tensor(array: Array) -> Any:
    """Through a TensorProto, so that the strings belong to TensorFlow and live as long as it wants them."""
    c = library()
    tensor = c.TF_AllocateTensor(types_pb2.DT_UINT8, None, 0, 1)
    try:
        with _buffer(to_proto(array).SerializeToString()) as proto, checked() as status:
            c.TF_TensorFromProto(proto, tensor, status)
    except BaseException:
        c.TF_DeleteTensor(tensor)
        raise
    return tensor


def _array(tensor: Any) -> Array:
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
