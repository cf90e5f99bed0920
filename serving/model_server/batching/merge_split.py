"""The tensors of several requests made one, and the outputs given back to each; rows are the first dimension."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from serving.status import FailedPreconditionError, InternalError, InvalidArgumentError
from serving.type_names import dtype_name
from serving.wire import ENUMS, Array

MAX_RANK = 6

Feeds = Mapping[str, Array]


def rows_of(feeds: Feeds) -> int:
    """The number of rows all inputs of a request agree on."""
    if not feeds:
        raise InvalidArgumentError("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds.values()):
        raise InvalidArgumentError("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) > 1:
        raise InvalidArgumentError("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def merged(requests: Sequence[Feeds], *, padding: int, pad_variable_length: bool) -> Feeds:
    """The feeds of one run: all rows in order, then `padding` copies of a row that a client sent.

    The feeds of a single request without padding are not copied. Raises StatusError, in upstream's words, for
    requests that do not go together.
    """
    return {
        name: _joined(_of_one_shape(name, [feeds[name] for feeds in requests], pad=pad_variable_length), padding)
        for name in requests[0]
    }


def shares(names: Sequence[str], outputs: Sequence[Array], sizes: Sequence[int], padding: int) -> Iterator[Feeds]:
    """For each request, of so many rows, its part of the outputs by name: views, not copies."""
    rows = sum(sizes) + padding
    for array in outputs:
        if array.ndim == 0:
            raise FailedPreconditionError("Batched output tensor has 0 dimensions")
        if len(array) != rows:
            raise FailedPreconditionError(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input"
                " tensors"
            )
    start = 0
    for size in sizes:
        yield {name: array[start : start + size] for name, array in zip(names, outputs, strict=True)}
        start += size


def _of_one_shape(name: str, arrays: list[Array], *, pad: bool) -> list[Array]:
    """The same arrays, alike in all dimensions but the first."""
    if pad:
        if any(array.ndim > MAX_RANK for array in arrays):
            raise InvalidArgumentError("Only tensors with rank from 1 to 6 can be padded.")
        if len({array.ndim for array in arrays}) > 1:
            raise InvalidArgumentError(f"Tensors with name '{name}' from different tasks have different ranks.")
        longest = tuple(map(max, zip(*(array.shape[1:] for array in arrays), strict=True)))
        return [_filled_up(array, longest) for array in arrays]
    if len({array.shape[1:] for array in arrays}) > 1:
        raise FailedPreconditionError(
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. Set "
            "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
            "starting with the first dim."
        )
    return arrays


def _filled_up(array: Array, longest: tuple[int, ...]) -> Array:
    """Each row made as large as `longest`, with the very first value of the array."""
    shape = (len(array), *longest)
    if array.shape == shape:
        return array
    filled = np.empty(shape, array.dtype)
    if not filled.size:
        return filled
    if not array.size:
        raise InvalidArgumentError("Got empty tensor in batch of non-empty tensors.")
    filled.fill(array.flat[0])
    filled[tuple(map(slice, array.shape))] = array
    return filled


def _joined(arrays: list[Array], padding: int) -> Array:
    if padding:
        row = next(array[:1] for array in reversed(arrays) if len(array))
        arrays = [*arrays, np.broadcast_to(row, (padding, *row.shape[1:]))]
    if len(arrays) == 1:
        return arrays[0]
    first = arrays[0].dtype
    for array in arrays:
        if array.dtype != first:
            raise InternalError(
                "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different "
                f"data types. Got {dtype_name(ENUMS[first])} and {dtype_name(ENUMS[array.dtype])}."
            )
    return np.concatenate(arrays)
