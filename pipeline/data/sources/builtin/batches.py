"""Read the pickled batches of CIFAR-10 without running anything that a pickle asks for.

A batch is a dictionary that Python 2 pickled: `data` is an array of bytes, `labels` a list of numbers. The array is the
only part that needs names from a module: `_reconstruct`, `ndarray` and `dtype` of numpy. Small stand-ins take their
place, which keep what the pickle says about the array; every other name is refused.
"""

import pickle
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from pipeline.data.sources.builtin.data_set import FormatError

if TYPE_CHECKING:
    import numpy as np


class _Type:
    """In the place of `numpy.dtype`."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for bytes."""


class _Array:
    """In the place of `numpy.ndarray`.

    Its state is the version, the shape, the type, whether it is in Fortran's order, and the bytes.
    """

    state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def _reconstruct(*_: object) -> _Array:
    return _Array()


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise FormatError(
                f"asks for {module}.{name}, which no batch of CIFAR-10 needs, so it was not run"
            ) from None


def read_batch(stream: IO[bytes]) -> tuple["np.ndarray", "np.ndarray"]:
    """The images of a batch, bytes of the shape (images, 3072), and their classes.

    Raises:
        FormatError: it is not such a batch.
    """
    import numpy as np  # noqa: PLC0415 - only when a part is drawn

    try:
        batch = _Unpickler(stream, encoding="bytes").load()
        _, shape, kind, is_fortran, content = batch[b"data"].state
        if kind.code not in (b"u1", "u1"):
            raise FormatError(f"holds an array of another kind ({kind.code!r})")
        images = np.frombuffer(content, "uint8").reshape(shape, order="F" if is_fortran else "C")
        return images, np.array(batch[b"labels"], "int64")
    except FormatError:
        raise
    except Exception as error:  # damaged pickles raise anything
        raise FormatError(f"is not a batch of CIFAR-10 ({type(error).__name__}: {error})") from error
