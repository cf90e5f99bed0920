"""Reply bodies, byte for byte; the layouts come from running RapidJSON's PrettyWriter as upstream drives it."""

from typing import Any

import numpy as np
import pytest

from serving.apis import classification_pb2, regression_pb2, tensor_pb2
from serving.rest_json.json_numbers import decimals
from serving.rest_json.predict_request import JsonPredictFormat
from serving.rest_json.responses import (
    classification_response,
    error_body,
    predict_response,
    regression_response,
)
from serving.status import InvalidArgumentError
from serving.wire import to_proto


def strings(values: Any) -> Any:
    return np.array(values, object)


def row(*, as_content: bool = False, **arrays: Any) -> str:
    protos = {alias: to_proto(array, as_content=as_content) for alias, array in arrays.items()}
    return predict_response(protos, JsonPredictFormat.ROW).decode()


def column(**arrays: Any) -> str:
    return predict_response(
        {alias: to_proto(array) for alias, array in arrays.items()}, JsonPredictFormat.COLUMN
    ).decode()


MATRIX = np.arange(1, 7, dtype=np.int32).reshape(3, 2)


def test_rows_of_one_output_stand_on_one_line() -> None:
    assert row(y=MATRIX) == '{\n    "predictions": [[1, 2], [3, 4], [5, 6]\n    ]\n}'
    assert row(y=MATRIX, as_content=True) == row(y=MATRIX)


def test_scalar_rows_are_not_lists() -> None:
    assert row(y=np.array([2.5, 3, 4.5], np.float32)) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_rows_of_several_outputs_are_objects() -> None:
    assert row(b=np.array([True, False]), a=np.arange(4).reshape(2, 2)) == (
        '{\n    "predictions": [\n'
        '        {\n            "a": [0, 1],\n            "b": true\n        },\n'
        '        {\n            "a": [2, 3],\n            "b": false\n        }\n'
        "    ]\n}"
    )


def test_columns_take_a_line_for_each_value() -> None:
    assert column(y=MATRIX[:2]) == (
        '{\n    "outputs": [\n'
        "        [\n            1,\n            2\n        ],\n"
        "        [\n            3,\n            4\n        ]\n"
        "    ]\n}"
    )


def test_columns_of_several_outputs_are_one_object() -> None:
    assert column(a=np.array([5]), s=np.float64(0.5)) == (
        '{\n    "outputs": {\n        "a": [\n            5\n        ],\n        "s": 0.5\n    }\n}'
    )


def test_outputs_whose_names_end_in_bytes_are_base64() -> None:
    assert row(y_bytes=strings([[b"hello", b"\xff"]])) == (
        '{\n    "predictions": [[{\n                "b64": "aGVsbG8="\n            }, '
        '{\n                "b64": "/w=="\n            }]\n    ]\n}'
    )
    assert column(y_bytes=strings([b"hi"])) == (
        '{\n    "outputs": [\n        {\n            "b64": "aGk="\n        }\n    ]\n}'
    )
    assert row(y_bytes=np.array([1])) == '{\n    "predictions": [1\n    ]\n}'


def test_other_strings_are_written_as_the_bytes_they_are() -> None:
    body = predict_response({"y": to_proto(strings([b'a"\\/\n\x1f\x7f\xc3\xa9\xff']))}, JsonPredictFormat.ROW)

    assert body == b'{\n    "predictions": ["a\\"\\\\/\\n\\u001F\x7f\xc3\xa9\xff"\n    ]\n}'


@pytest.mark.parametrize(
    ("shape", "predictions", "outputs"),
    [((0, 2), "[]", "[]"), ((2, 0), "[[], []\n    ]", "[\n        [],\n        []\n    ]")],
)
def test_tensors_without_values_keep_their_shape(shape: tuple[int, ...], predictions: str, outputs: str) -> None:
    assert row(y=np.zeros(shape, np.float32)) == f'{{\n    "predictions": {predictions}\n}}'
    assert column(y=np.zeros(shape, np.float32)) == f'{{\n    "outputs": {outputs}\n}}'


def test_no_rows_of_several_outputs_are_an_empty_list() -> None:
    assert row(a=np.zeros((0, 2)), b=strings(np.zeros((0, 3)))) == '{\n    "predictions": []\n}'


INTEGERS = [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_written_whole(dtype: Any) -> None:
    limits = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)

    assert row(y=limits) == f'{{\n    "predictions": [{limits[0]}, {limits[1]}\n    ]\n}}'


DECIMALS = {
    "9000000": "9e+06",
    "999999": "999999.0",
    "0.5": "0.5",
    ".0003": "0.0003",
    ".00003": "3e-05",
    "555557.5": "555557.5",
    "0.2": "0.2",
    "0.123456789": "0.123456791",
    "16777217": "16777216.0",
    "-0.0": "-0.0",
    "3.4028235e38": "3.40282347e+38",
    "1e-45": "1.4013e-45",
    "nan": "NaN",
    "inf": "Infinity",
    "-inf": "-Infinity",
}


def test_a_float_has_six_digits_where_they_say_it_all_and_nine_elsewhere() -> None:
    assert list(DECIMALS.values()) == decimals(np.array(list(DECIMALS), np.float32))


def test_a_double_has_six_digits_where_they_say_it_all_and_seventeen_elsewhere() -> None:
    assert decimals(np.array([0.2, 1 / 3, 0.1 + 0.2, 1e300, 123456789])) == [
        "0.2",
        "0.33333333333333331",
        "0.30000000000000004",
        "1e+300",
        "123456789.0",
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_survives_its_text(dtype: Any) -> None:
    bits = np.random.default_rng(0).integers(0, 256, 10_000 * np.dtype(dtype).itemsize, np.uint8)
    values = bits.view(dtype)
    values = values[np.isfinite(values)]

    assert np.array_equal(np.array(decimals(values)).astype(dtype), values)


def tensor(dtype: str, *shape: int, **values: Any) -> Any:
    return tensor_pb2.TensorProto(
        dtype=f"DT_{dtype}", tensor_shape={"dim": [{"size": size} for size in shape]}, **values
    )


TWO = tensor("INT32", 2, 3, int_val=[1] * 6)
REFUSALS: dict[str, dict[str, Any]] = {
    "Cannot convert empty tensor map to JSON": {},
    "Failed to write JSON value for tensor type: complex64": {"y": tensor("COMPLEX64", 1, scomplex_val=[1, 2])},
    "Failed to write JSON value for tensor type: half": {"y": tensor("HALF", 1, half_val=[1])},
    "Tensor name: y has no shape information ": {"y": tensor("INT32", int_val=[1])},
    "Tensor name: b has inconsistent batch size: 1 expecting: 2": {"a": TWO, "b": tensor("INT32", 1, int_val=[1])},
    "Tensor name: b has inconsistent batch size: 2 expecting: 0": {"a": tensor("INT32", 0), "b": TWO},
}


@pytest.mark.parametrize("message", REFUSALS)
def test_outputs_that_make_no_rows_are_refused_in_upstreams_words(message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        predict_response(REFUSALS[message], JsonPredictFormat.ROW)

    assert message == caught.value.message


def test_classes_are_pairs_of_label_and_score() -> None:
    result = classification_pb2.ClassificationResult()
    for scores in ((0.2, 0.7), (1, float("nan"))):
        one = result.classifications.add()
        one.classes.add(label="car", score=scores[0])
        one.classes.add(label='"é"', score=scores[1])
    result.classifications.add()

    assert classification_response(result).decode() == (
        '{\n    "results": [[["car", 0.2], ["\\"é\\"", 0.7]], [["car", 1.0], ["\\"é\\"", NaN]], []\n    ]\n}'
    )


def test_regressions_are_numbers() -> None:
    result = regression_pb2.RegressionResult()
    for value in (0.2, float("inf"), 1, float("-inf"), float("nan")):
        result.regressions.add(value=value)

    assert regression_response(result) == b'{\n    "results": [0.2, Infinity, 1.0, -Infinity, NaN]\n}'


def test_results_must_not_be_empty() -> None:
    with pytest.raises(InvalidArgumentError, match="Cannot convert empty ClassificationResults to JSON"):
        classification_response(classification_pb2.ClassificationResult())
    with pytest.raises(InvalidArgumentError, match="Cannot convert empty RegressionResults to JSON"):
        regression_response(regression_pb2.RegressionResult())


def test_an_error_is_an_object_with_the_message() -> None:
    assert error_body("Bad key: \"key\", 'key'") == b'{\n    "error": "Bad key: \\"key\\", \'key\'"\n}'
    assert error_body("\udcff") == b'{\n    "error": "\xff"\n}'
