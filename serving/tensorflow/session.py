"""A session of TensorFlow on one SavedModel: tensors in, tensors out, by their names in the graph."""

import ctypes
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from serving.apis import config_pb2
from serving.status import FailedPreconditionError, NotFoundError
from serving.tensorflow.c_api import Output, Pointer, buffer, checked, library
from serving.tensorflow.heap import trim_heap
from serving.tensorflow.tensors import to_array, to_tensor
from serving.wire import Array

# Variables are restored by the thread that loads, and not by those that requests wait for.
LOADING = bytes(config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString())


class Session:
    """A loaded SavedModel. `run` may be called from many threads at once; `close` when none of them is in it."""

    def __init__(self, path: str, *, tags: Iterable[str], config: bytes) -> None:
        """Load variables and run the initialisers; `config` is a serialized ConfigProto. Raises StatusError."""
        c = library()
        names = [tag.encode() for tag in tags]
        self._graph = c.TF_NewGraph()
        self._handle: int | None = None
        self._located: dict[str, Output] = {}
        meta_graph = c.TF_NewBuffer()
        options = c.TF_NewSessionOptions()
        try:
            with checked() as status:
                c.TF_SetConfig(options, config, len(config), status)
            with buffer(LOADING) as run_options, checked() as status:
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
        given = (Pointer * len(feeds))()
        answered = (Pointer * len(fetches))()
        try:
            for position, array in enumerate(feeds.values()):
                given[position] = to_tensor(array)
            with buffer(options) as run_options, checked() as status:
                c.TF_SessionRun(
                    *(self._handle, run_options),
                    *(inputs, given, len(feeds), outputs, answered, len(fetches)),
                    *(None, 0, None, status),
                )
            return [to_array(tensor) for tensor in answered]
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
        return (Output * len(names))(*map(self._output, names))

    def _output(self, name: str) -> Output:
        """Where a tensor is in the graph, looked up once."""
        known = self._located.get(name)
        if known is None:
            operation, _, index = name.partition(":")
            found = library().TF_GraphOperationByName(self._graph, operation.encode())
            if found is None:
                raise NotFoundError(f"Tensor {name} is named by the signature and is not in the graph")
            known = self._located[name] = Output(found, int(index or 0))
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
