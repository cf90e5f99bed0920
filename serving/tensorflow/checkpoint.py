"""The variables of a SavedModel as they lie in its files, one tensor at a time; no graph is loaded."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np

from serving.status import UnimplementedError
from serving.tensorflow.c_api import checked, library
from serving.wire import KINDS, Array


class Checkpoint:
    """An index, opened; the values are read when they are asked for, and their checksums with them."""

    def __init__(self, prefix: str) -> None:
        """`prefix` is the path of the files up to `.index`; raises StatusError where there is no such index."""
        with checked() as status:
            self._handle: Any = library().TF_NewCheckpointReader(prefix.encode(), status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            library().TF_DeleteCheckpointReader(handle)

    def types(self) -> dict[str, int]:
        """The number of each tensor's data type, by the tensor's name."""
        c = library()
        names = [c.TF_CheckpointReaderGetVariable(self._handle, index) for index in range(self._size())]
        return {
            name.decode("utf-8", "backslashreplace"): c.TF_CheckpointReaderGetVariableDataType(self._handle, name)
            for name in names
        }

    @contextmanager
    def values(self, name: str) -> Iterator[Array]:
        """All values of a tensor of numbers in one row. They are gone after the `with`; raises StatusError."""
        c = library()
        with checked() as status:
            tensor = c.TF_CheckpointReaderGetTensor(self._handle, name.encode(), status)
        try:
            yield _row(tensor)
        finally:
            c.TF_DeleteTensor(tensor)

    def _size(self) -> int:
        size: int = library().TF_CheckpointReaderSize(self._handle)
        return size


def _row(tensor: Any) -> Array:
    """Where the tensor lies, and no copy of it."""
    c = library()
    kind = KINDS.get(c.TF_TensorType(tensor))
    if kind is None or kind.dtype == np.object_:
        raise UnimplementedError("a tensor of this type is not one of numbers")
    size, start = c.TF_TensorByteSize(tensor), c.TF_TensorData(tensor)
    if not size:
        return np.empty(0, kind.dtype)
    return np.frombuffer((ctypes.c_char * size).from_address(start), kind.dtype)
