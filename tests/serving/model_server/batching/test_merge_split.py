"""Requests made one run, and the run's outputs made answers again."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.model_server.batching.merge_split import merged, rows_of, shares
from serving.status import FailedPreconditionError, InternalError, InvalidArgumentError


def together(*arrays: Any, padding: int = 0, pad: bool = False) -> Any:
    requests = [{"x": np.asarray(array)} for array in arrays]
    return merged(requests, padding=padding, pad_variable_length=pad)["x"]


def strings(*texts: bytes) -> Any:
    return np.array(texts, np.object_)


def test_rows_follow_each_other_in_the_order_of_requests() -> None:
    assert together([[1], [2]], [[3]]).tolist() == [[1], [2], [3]]
    assert together(strings(b"a"), strings(b"b")).tolist() == [b"a", b"b"]


def test_every_type_stays_what_it_is() -> None:
    for dtype in (np.bool_, np.uint8, np.float16, ml_dtypes.bfloat16, np.complex64):
        assert together(np.ones(1, dtype), np.ones(2, dtype), padding=1).dtype == dtype


def test_a_single_request_is_not_copied() -> None:
    array = np.ones((3, 2))

    assert together(array) is array
    assert together(array, pad=True) is array


def test_padding_repeats_the_first_row_of_the_last_request() -> None:
    assert together([1], [2, 3], padding=2).tolist() == [1, 2, 3, 2, 2]
    assert together([1], np.array([], int), padding=1).tolist() == [1, 1]


def test_shapes_that_differ_are_refused_unless_they_may_be_padded() -> None:
    with pytest.raises(FailedPreconditionError) as error:
        together([[1, 2]], [[3]])

    assert error.value.message == (
        "Tensors with name 'x' from different tasks have different shapes and padding is turned off. Set "
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
        "starting with the first dim."
    )


def test_variable_lengths_are_filled_with_the_first_value_of_their_own_request() -> None:
    assert together([[1, 2], [3, 4]], [[5, 6, 7]], pad=True).tolist() == [[1, 2, 1], [3, 4, 1], [5, 6, 7]]
    assert together([[[1, 2]]], [[[3], [4]]], pad=True).tolist() == [[[1, 2], [1, 1]], [[3, 3], [4, 3]]]
    assert together([strings(b"a")], [strings(b"b", b"c")], pad=True).tolist() == [[b"a", b"a"], [b"b", b"c"]]


def test_an_empty_tensor_has_no_value_to_be_filled_with() -> None:
    with pytest.raises(InvalidArgumentError, match="Got empty tensor in batch of non-empty tensors"):
        together(np.zeros((1, 0)), np.zeros((1, 2)), pad=True)
    assert together(np.zeros((0, 1)), np.ones((1, 2)), pad=True).tolist() == [[1, 1]]


def test_ranks_that_cannot_be_padded_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Only tensors with rank from 1 to 6 can be padded"):
        together(np.zeros([1] * 7), pad=True)
    with pytest.raises(InvalidArgumentError, match="different ranks"):
        together([1], [[1]], pad=True)


def test_types_that_differ_are_refused() -> None:
    with pytest.raises(InternalError) as error:
        together(np.zeros(1, np.float32), np.zeros(1))

    assert error.value.message == (
        "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data types. "
        "Got float and double."
    )


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "must have at least one input tensor"),
        ({"x": np.float32(1)}, "input tensors must have at least one dimension"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, "input tensors must have equal 0th-dimension size"),
    ],
)
def test_inputs_without_common_rows_are_refused(feeds: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        rows_of(feeds)

    assert error.value.message == f"Batching Run() {words}"


def test_each_request_gets_its_rows_and_nobody_the_padding() -> None:
    outputs = [np.arange(5), np.arange(10).reshape(5, 2)]
    first, second = shares(["a", "b"], outputs, [1, 3], 1)

    assert {name: array.tolist() for name, array in first.items()} == {"a": [0], "b": [[0, 1]]}
    assert {name: array.tolist() for name, array in second.items()} == {
        "a": [1, 2, 3],
        "b": [[2, 3], [4, 5], [6, 7]],
    }


def test_outputs_without_a_row_for_each_row_are_refused() -> None:
    with pytest.raises(FailedPreconditionError, match="Batched output tensor has 0 dimensions"):
        list(shares(["a"], [np.array(1)], [1], 0))
    with pytest.raises(FailedPreconditionError) as error:
        list(shares(["a"], [np.zeros(3)], [1, 1], 0))
    assert error.value.message == (
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
    )
